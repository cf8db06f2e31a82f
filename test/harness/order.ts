// Which tests begin first: those that take longest, or at the end one core waits for the other.

import { BaseSequencer, type TestSpecification } from "vitest/node";
import { groupBy } from "../../src/group_by.ts";

/** Minutes to some ten seconds, where no shader was compiled before. */
const LONGEST = [
  "parity/attention",
  "cli/kills",
  "parity/products",
  "parity/training",
  "parity/kernels",
  "resume",
  "needs",
  "cli/doctor",
  "cli/process",
  "cli/deno",
  "package/package",
];

const place = ({ moduleId }: TestSpecification) => {
  const at = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return at < 0 ? LONGEST.length : at;
};

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const projects = [...groupBy(sorted, ({ project }) => project.name).values()];
    return projects.flatMap((files) => files.toSorted((a, b) => place(a) - place(b)));
  }
}
