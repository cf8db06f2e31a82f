// Which models of a sweep are trained together: those of one shape that fit a workgroup, as many as memory allows.

import { isDrawn, isHalf, isStream } from "../choices.ts";
import type { Config, ConfigChoice, ReadConfig } from "../config.ts";
import { ConfigError } from "../errors.ts";
import type { Device } from "../device/device.ts";
import { compile, type Preparation } from "../device/prepare.ts";
import { isLikeMicrogpt } from "../model/engines.ts";
import { type Dims, dimsOf } from "../model/parameters.ts";
import { SmallLayout } from "../small/layout.ts";
import type { SmallTuning } from "../small/ops.ts";
import type { TokenizedText } from "../text/tokenized.ts";
import { isOneStream, splitTokens } from "../text/split.ts";
import { groupBy } from "../group_by.ts";
import { estimate, trainingWork } from "../model/work.ts";
import type { TuneOptions } from "../tuning/tune.ts";
import { chooseSmall } from "./choose_trainer.ts";
import { smallDispatches } from "./small_trainer.ts";

/** Models of a group at most: enough to fill a large GPU several times, few enough to see progress. */
const MOST_MODELS = 4096;
/** On a software GPU a step of so many takes some milliseconds. */
const MOST_MODELS_SOFTWARE = 128;
/** Bytes of a tensor at most: it is drawn and kept in main memory too. */
const MOST_BYTES = 2 ** 27;

interface Group {
  dims: Dims;
  /** How one workgroup trains each of them; undefined for a model that is trained by itself. */
  tuning: SmallTuning | undefined;
  /** Among the configs. */
  indices: number[];
  /** Documents in the order of the text, or the stream. */
  tokens: ReturnType<TokenizedText["tokens"]>;
}

/**
 * @param device undefined for the CPU
 * @throws DataError or ConfigError if the text is too short for one of the models
 */
export function planSweep(
  device: Device | undefined,
  configs: readonly ReadConfig[],
  text: TokenizedText,
): Group[] {
  const shapes = groupBy(configs.keys(), (index) => shapeKey(configs[index]));
  return [...shapes.values()].flatMap((indices): Group[] => {
    const config = configs[indices[0]];
    const dims = dimsOf(config, text.tokenizer.vocab_size);
    const tokens = text.tokens(config.block_size, undefined, config);
    splitTokens(config, tokens); // what cannot be split is told before anything is trained
    const tuning =
      device && !isOneStream(tokens)
        ? chooseSmall(device, config, dims, tokens, indices.length)
        : undefined;
    const size = tuning ? groupSize(device!, dims, text.num_docs) : 1;
    return Array.from({ length: Math.ceil(indices.length / size) }, (_, g) => ({
      dims,
      tuning,
      indices: indices.slice(g * size, (g + 1) * size),
      tokens,
    }));
  });
}

/**
 * Models are ranked by losses of the same part of the text, whatever their seeds.
 * @param labels how the user wrote a setting, for the messages; its own name where absent
 * @throws ConfigError if some of the losses would be of another part
 */
export function checkComparable(
  configs: readonly ConfigChoice[],
  labels: Partial<Record<keyof Config, string>> = {},
): void {
  const same = (name: "seed" | "block_size") =>
    configs.every((config) => config[name] === configs[0][name]);
  const varied = same("seed") ? "block_size" : "seed";
  if (configs.some(({ val_split }) => isDrawn(val_split)) && !same(varied)) {
    throw new ConfigError(
      "val_split",
      `${labels.val_split ?? "val_split"} blocks holds out what ${varied} draws, which is not the same for all models of ` +
        `the sweep, so that their losses could not be compared; leave it out, or choose one ${varied}.`,
    );
  }
  const [first, other] = new Set(configs.map(({ val_fraction }) => val_fraction));
  if (other === undefined) return;
  throw new ConfigError(
    "val_fraction",
    `${labels.val_fraction ?? "val_fraction"} is ${first} for some models of the sweep and ${other} for others, so that ` +
      `their losses could not be compared; choose one of them for all models.`,
  );
}

/** What models of a group have in common: their tensors' sizes, what they train on, and so whether they fit. */
function shapeKey(config: ReadConfig): string {
  const { batch_size, format, val_fraction, val_split, dtype, ...rest } = config;
  const { optimizer, grad_accumulation } = rest;
  const shape = [dimsOf(config, 0), isLikeMicrogpt(config), optimizer, grad_accumulation];
  return JSON.stringify([shape, batch_size, format, val_fraction, val_split, dtype]);
}

function groupSize({ software, gpu }: Device, dims: Dims, docs: number): number {
  const { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupsPerDimension } =
    gpu.limits;
  const bytes = 8 * Math.max(new SmallLayout(dims).size, docs); // Adam's moments; an order of documents
  const room = Math.min(maxStorageBufferBindingSize, maxBufferSize, MOST_BYTES);
  const most = software ? MOST_MODELS_SOFTWARE : MOST_MODELS;
  return Math.max(1, Math.min(most, maxComputeWorkgroupsPerDimension, Math.floor(room / bytes)));
}

/** Of all models; undefined where one of them is for a GPU only. */
export function estimateSweep(
  configs: readonly ReadConfig[],
  { format, ids, num_docs, tokenizer }: TokenizedText,
) {
  if (configs.some(({ dtype }) => isHalf(dtype))) return undefined;
  const length = isStream(format) ? Infinity : ids.length / num_docs + 1;
  const works = configs.map((config) =>
    trainingWork({ ...config, num_samples: 0 }, dimsOf(config, tokenizer.vocab_size), {
      steps: config.num_steps,
      length: Math.min(length, config.block_size),
      validated: 0,
    }),
  );
  return estimate(works);
}

/** What the models of the plan take that are trained together, before the first of them. */
export async function compileSweep(
  device: Device,
  configs: readonly Config[],
  plan: ReturnType<typeof planSweep>,
  {
    tuning: { signal } = {},
    progress,
  }: { tuning?: TuneOptions; progress?: Preparation["progress"] },
): Promise<void> {
  const lists = plan.flatMap(({ dims, tuning, indices }) => {
    const config = configs[indices[0]];
    const validates = config.val_fraction > 0;
    return tuning ? [smallDispatches(device, config, dims, tuning, { validates }, false)] : [];
  });
  const steps = lists.flatMap((list) => list.steps);
  const later = lists.flatMap((list) => list.later);
  await compile(device, steps, { progress, signal }, later);
}
