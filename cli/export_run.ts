// A run and its text as a folder that PyTorch goes on with.

import { isHalf } from "../src/choices.ts";
import { plural } from "../src/count.ts";
import type { Exported } from "../src/exchange/formats.ts";
import { torchFiles } from "../src/exchange/torch.node.ts";
import { loadCheckpoint } from "../src/files/model_dir.node.ts";
import { PythonRandom } from "../src/random.ts";
import { orderText } from "../src/training/order_text.ts";
import { settleText } from "../src/training/settle_text.ts";
import { askedIn, readText } from "./files.ts";
import type { Flags } from "./flags.ts";
import { UsageError } from "./given.ts";
import * as options from "./options.ts";
import { prepareProgress } from "./progress.ts";
import type { Io } from "./run.ts";

/**
 * @throws ModelFileError if the folder holds no run
 * @throws DataError if the text is not the run's, or cannot be read
 */
export async function exportRun(flags: Flags, io: Io, signal: AbortSignal): Promise<Exported> {
  if (flags.has(options.best)) {
    throw new UsageError(
      `--format torch goes on with the run as it was last saved; leave --best out.`,
    );
  }
  const run = loadCheckpoint(flags.text(options.modelDir));
  const { config, tokenizer: before } = run;
  const asked = await askedIn(flags);
  const inputs = asked.inputs.length > 0 ? asked.inputs : (run.input ?? []);
  if (asked.inputs.length === 0 && inputs.includes("-")) {
    throw new UsageError(
      `The run was trained on standard input; give it the same text again, by --input.`,
    );
  }
  const { corpus } = await readText({ ...asked, inputs, signal }, io, config);
  const progress = prepareProgress(io.stderr);
  const settled = await settleText(corpus, [config], { before, progress, signal });
  const random = new PythonRandom(config.seed);
  const { text } = settled.tokens;
  const split = await orderText(corpus, config, text, random, { resume: run, progress, signal });
  const left = config.num_steps - run.step;
  const notes = [
    left > 0
      ? `${plural(left, "step")} of it are left: torchrun --nproc_per_node N train.py, in that folder.`
      : `All its ${plural(run.step, "step")} are done: train.py takes --steps, more than that.`,
    ...(config.dropout > 0 ? ["Dropout is drawn by PyTorch, and not as here."] : []),
    ...(isHalf(config.dtype) ? ["Products are in f32 there; --bf16 makes them in bfloat16."] : []),
  ];
  return { files: torchFiles(run, split), notes };
}
