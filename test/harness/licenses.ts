// The licences of all packages that are installed, tests' included, against those that may be.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./unpack.ts";

/** They ask no more than that their text goes along; MPL-2.0 besides that a changed file of its own be shown. */
const allowed = [
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MPL-2.0",
  "Python-2.0",
  "Unlicense",
];

interface Locked {
  license?: string;
  version?: string;
}

/** A line for each package of a lock file whose licence is not among those allowed. */
export function forbiddenLicenses(packages: Readonly<Record<string, Locked>>): string[] {
  return Object.entries(packages)
    .filter(([, { license = "none" }]) => !isAllowed(license))
    .map(([path, { version, license = "none" }]) => `${nameOf(path)} ${version}: ${license}`);
}

/** An expression as SPDX has them, without parentheses within parentheses: one of those with OR, all with AND. */
function isAllowed(license: string): boolean {
  return license
    .replace(/^\((.*)\)$/, "$1")
    .split(" OR ")
    .some((option) => option.split(" AND ").every((name) => allowed.includes(name)));
}

const nameOf = (path: string) => path.replace(/^.*node_modules\//, "") || "this package";

if (import.meta.main) {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const lines = forbiddenLicenses(packages);
  if (lines.length > 0) {
    console.error(`${lines.join("\n")}\nAllowed are ${allowed.join(", ")}.`);
    process.exitCode = 1;
  }
}
