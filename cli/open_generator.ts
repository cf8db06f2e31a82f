// Opens a saved model on a device, to write with it: what the commands share that do.

import { Generator, type Opening } from "../src/generation/from_model.ts";
import type { Model } from "../src/files/model_files.ts";
import type { Flags } from "./flags.ts";
import { device, devices, type Option, settingOptions } from "./options.ts";
import { prepareProgress } from "./progress.ts";
import type { Io } from "./run.ts";

const dtypes = ["f32", "f16", "auto"] as const;
const [dtype] = settingOptions("dtype").map(
  (option) =>
    ({
      ...option,
      help:
        "what a GPU keeps weights, keys and values in: f32, by which its tokens are the CPU's, f16, " +
        "or auto: f16 where doctor has certified it",
      default: "f32" as const,
      section: undefined,
    }) satisfies Option,
);

/** The flags that say on what. */
export const deviceOptions: readonly Option[] = [device, dtype];

/** What was chosen in the user's place is told, but not that it was the CPU. */
export async function openGenerator(
  flags: Flags,
  model: Model,
  { stderr }: Pick<Io, "stderr">,
  { num_slots }: Pick<Opening, "num_slots"> = {},
): Promise<Generator> {
  const generator = await Generator.open(
    model,
    flags.choice(device, devices),
    prepareProgress(stderr),
    { num_slots, dtype: flags.choice(dtype, dtypes) },
  );
  if (generator.dtype_reason !== null) stderr.write(`dtype ${generator.dtype_reason}.\n`);
  return generator;
}
