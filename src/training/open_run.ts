// What comes before a run's first step: text, tokens, device, dtype, batch, weights and trainer, each once the ones before
// it are known.

import { platform } from "#platform";
import { isHalf, isStream } from "../choices.ts";
import type { Config, ConfigChoice, ReadConfig } from "../config.ts";
import { conflicts } from "../config/conflicts.ts";
import { chooseDevice, type DeviceChoice } from "../device/choose.ts";
import { type Checkpoint, checkSavable } from "../files/checkpoint.ts";
import type { Model } from "../files/model_files.ts";
import { allParameters, checkHostMemory } from "../model/memory.ts";
import { type Dims, dimsOf, initialParameters, parameterCount } from "../model/parameters.ts";
import { estimate, trainingWork, type Work } from "../model/work.ts";
import { PythonRandom } from "../random.ts";
import type { Examples } from "../text/batches.ts";
import { firstQuestions } from "../text/chat.ts";
import { textFacts } from "../text/facts.ts";
import { corpusOf, type TextSource } from "../text/read_corpus.ts";
import { skippedOf } from "../text/tokenized.ts";
import { encodePrompt } from "../tokenizer/prompt.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { summaryOf, type TuneOptions } from "../tuning/tune.ts";
import { chooseBatch } from "./choose_batch.ts";
import { chooseDtype } from "./choose_dtype.ts";
import { checkHalf, chooseSmall, createTrainer } from "./choose_trainer.ts";
import type { PrepareEvent, StartEvent } from "./events.ts";
import {
  checkInitial,
  frozenModel,
  initialAdapters,
  initialNotes,
  initialValues,
} from "./init_from.ts";
import type { Identify } from "./many_documents.ts";
import { startNotes } from "./notes.ts";
import { orderText } from "./order_text.ts";
import { differences, resumedConfig, withoutDevice } from "./resume.ts";
import { settleText } from "./settle_text.ts";
import type { Trainer } from "./trainer.ts";

export interface TrainingOptions {
  config: ConfigChoice;
  /**
   * Documents in the order of the text, which format lines shuffles and to format text are one stream; or a text that
   * is read as a file would be.
   */
  documents: TextSource;
  /** Of a run that is resumed, `auto` is what it was trained on. */
  device: DeviceChoice;
  /** How the kernels of a larger model's products are chosen. */
  tuning?: TuneOptions;
  /** Told how far the run is with what comes before its first step, while open() is at it. */
  progress?: (event: PrepareEvent) => void;
  /** What the run's texts begin with. */
  prompt?: string;
  /** Where the text came from, one part after the other, for whoever resumes the run. */
  input?: readonly string[] | null;
  /** What tokenizer `file` stands for. */
  tokenizer?: Tokenizer;
  /** The run to go on with; `config` differs from its only as resumedConfig() has it, the documents not at all. */
  resume?: Checkpoint;
  /** The model whose weights and tokenizer a new run starts from; `config` is as initialConfig() has it. */
  initFrom?: Model;
}

export interface OpenedRun {
  options: TrainingOptions;
  start: StartEvent;
  tokenizer: Tokenizer;
  /** What is held out. */
  validation: readonly Int32Array[];
  trainer: Trainer;
  /** Of a run whose parameters are adapters, the model that they are beside. */
  frozen: Model | undefined;
  identify: Identify;
  /** What the users of a chat begin with. */
  questions: readonly string[];
  /** As it is once text and weights have drawn from it. */
  random: PythonRandom;
}

/**
 * Shuffles, tokenizes, splits, draws the initial weights, or takes those of the model to start from or of the run to
 * resume, readies the device and, where the dtype is `auto`, chooses it.
 * @throws DataError or ConfigError if the text is too short for the settings
 * @throws DataError or ConfigError if text or settings are not those of the run to resume, or of the model to start from
 * @throws UnknownCharacterError if the prompt has a character that is not in the text, or the text one that the model to
 *   start from has no token for
 * @throws NoWebGpuError if `webgpu` was asked for and there is none
 * @throws TensorTooLargeError if the model fits neither device nor memory, before anything is allocated
 * @throws ModelFileError if the model could not be saved, for its characters or layers are too many
 */
export async function openRun(options: TrainingOptions): Promise<OpenedRun> {
  const { resume, initFrom } = options;
  const asked = resume ? resumedConfig(resume, options.config) : options.config;
  if (!resume) checkInitial(initFrom, asked);
  const corpus = corpusOf(options.documents, asked);
  const { format, num_docs } = corpus;
  const { progress, tuning: { signal } = {} } = options;
  const settled = await settleText(corpus, [asked], {
    given: options.tokenizer,
    before: resume?.tokenizer,
    initial: initFrom?.tokenizer,
    progress,
    signal,
  });
  const { text } = settled.tokens;
  const { tokenizer } = text;
  const [wanted] = settled.configs;
  for (const conflict of conflicts(wanted)) throw conflict; // with what the text has decided
  const { input = resume?.input ?? null, prompt = "" } = options;
  const promptLength = encodePrompt(tokenizer, prompt).length;
  const random = new PythonRandom(wanted.seed);
  const ordered = await orderText(corpus, wanted, text, random, { resume, progress, signal });
  const { order, tokens, identify, train, validation, ...counts } = ordered;
  const dims = dimsOf(wanted, tokenizer.vocab_size);
  const work = trainingWork(wanted, dims, {
    steps: wanted.num_steps - (resume?.step ?? 0),
    length: isStream(format)
      ? wanted.block_size
      : (counts.num_tokens - counts.num_val_tokens) / (num_docs - counts.num_val_docs),
    validated: validation.reduce((sum, { length }) => sum + length - 1, 0),
  });
  const placed = await placeRun(options, { wanted, dims, work, train });
  const { device, fallback, device_reason, small, config, dtype_reason, batch_reason } = placed;
  checkHostMemory(config, dims, device ? "webgpu" : "cpu", platform.memory());
  checkSavable(config, tokenizer, input ?? []);
  const frozen = frozenModel({ resume, initFrom }, config, tokenizer);
  const params = firstValues({ resume, initFrom, frozen }, config, dims, random);
  const trainer = await createTrainer(device, config, dims, params, train, {
    tuning: options.tuning,
    frozen: frozen?.values,
    validates: validation.length > 0,
    writes: config.num_samples > 0,
    progress,
    signal,
  });
  if (resume) trainer.restore(resume);
  const { tuning } = trainer;
  const place = {
    device: device ? "webgpu" : "cpu",
    adapter: device ? device.name : null,
    kernels: tuning && tuning.id,
  } as const;
  const start: StartEvent = {
    type: "start",
    device: place.device,
    adapter: place.adapter,
    fallback,
    device_reason,
    num_docs,
    ...counts,
    ...textFacts(settled.tokens, config.block_size),
    skipped: skippedOf(text, tokens),
    num_params: allParameters(dims),
    num_trained: parameterCount(dims),
    kernels: tuning && summaryOf(tuning),
    dtype_reason,
    batch_reason,
    resumed_from: resume ? resume.step : null,
    notes: [
      ...startNotes(config, {
        num_tokens: counts.num_tokens - counts.num_val_tokens,
        num_params: initFrom || resume?.initialized ? null : parameterCount(dims),
        prompt: promptLength,
        recomputes: device !== undefined && small === undefined,
      }),
      ...settled.notes,
      ...(initFrom ? initialNotes(initFrom, config, tokenizer) : []),
    ],
    differences: resume ? differences(resume, { ...place, config }) : [],
    config,
  };
  return {
    options,
    start,
    tokenizer,
    validation,
    trainer,
    frozen,
    identify: resume ? () => Promise.resolve(resume.text) : identify,
    questions: firstQuestions(corpus.conversations, order),
    random,
  };
}

interface Unplaced {
  wanted: ReadConfig;
  dims: Dims;
  work: Work;
  train: Examples;
}

/** The device that a run is trained on, and what of its settings only the device decides. */
async function placeRun(
  { config: asked, resume, device: choice }: TrainingOptions,
  { wanted, dims, work, train }: Unplaced,
) {
  // What the CPU cannot do is not weighed.
  const weighed = isHalf(wanted.dtype) ? undefined : estimate([work]);
  const { device, ...chosen } = await chooseDevice(
    resume && choice === "auto" ? resume.device : choice,
    weighed,
  ).catch((error: unknown) => {
    throw resume ? withoutDevice(resume, error) : error;
  });
  if (resume && isHalf(resume.config.dtype)) {
    checkHalf(device, "Resume it where there is f16, or begin a new run.");
  }
  const small = chooseSmall(device, wanted, dims, train);
  const typed = await chooseDtype(device, wanted, small);
  const open = !resume && asked.batch_size === "auto";
  const batch = open ? await chooseBatch(device, typed.config, dims, small) : undefined;
  return { device, small, batch_reason: null, ...chosen, ...typed, ...batch };
}

/** The parameters before the run's first step, flat in their table's order. */
function firstValues(
  { resume, initFrom, frozen }: Pick<TrainingOptions, "resume" | "initFrom"> & { frozen?: Model },
  config: Config,
  dims: Dims,
  random: PythonRandom,
): Float64Array {
  if (resume?.initialized) return Float64Array.from(resume.values); // nothing was drawn from `random`
  if (!initFrom) return initialParameters(config, dims, random);
  return frozen ? initialAdapters(config, dims) : initialValues(initFrom, config, dims);
}
