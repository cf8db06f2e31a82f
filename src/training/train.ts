// A training run from settings and text to a model: generators of plain objects that the command
// line prints, the page's worker posts and tests assert on.

import { platform } from "#platform";
import type { Config, ConfigChoice } from "../config.ts";
import { type DeviceChoice, makeOn } from "../device/choose.ts";
import type { Device } from "../device/device.ts";
import type { PrepareEvent } from "../device/prepare.ts";
import { DataError, DivergedError } from "../errors.ts";
import type { Checkpoint } from "../files/checkpoint.ts";
import {
  generate,
  type GenerateOptions,
  type PieceEvent,
  type SampleEvent,
  type Sampling,
  write,
} from "../generation/generate.ts";
import { checkHostMemory } from "../model/memory.ts";
import { dimsOf, initialParameters, parameterCount } from "../model/parameters.ts";
import { PythonRandom } from "../random.ts";
import { fingerprint } from "../text/fingerprint.ts";
import { coverage, type Coverage } from "../text/coverage.ts";
import { identity } from "../text/documents.ts";
import { corpusOf, type TextSource } from "../text/read_corpus.ts";
import { type Split, splitTokens, type Tokens } from "../text/split.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { summaryOf, type TuneOptions, type TuningSummary } from "../tuning/tune.ts";
import { chooseDtype } from "./choose_dtype.ts";
import { checkHalf, chooseSmall, createTrainer } from "./choose_trainer.ts";
import type { Model } from "../files/model_files.ts";
import { startNotes } from "./notes.ts";
import { differences, resumedConfig, withoutDevice } from "./resume.ts";
import type { StepRecord, Trainer } from "./trainer.ts";

export type { PrepareEvent };

export interface StartEvent extends Coverage {
  type: "start";
  device: "webgpu" | "cpu";
  /** The GPU's name; null on the CPU. */
  adapter: string | null;
  /** Why `auto` took the CPU; null where it did not. */
  fallback: string | null;
  /** Documents, those that are held out included; 1 where the text is one stream. */
  num_docs: number;
  num_val_docs: number;
  /** Tokens that one pass over the text trains on, those that are held out included. */
  num_tokens: number;
  num_val_tokens: number;
  /** Which format `auto` is here, and why: "text: …"; null where the format was asked for. */
  format_reason: string | null;
  vocab_size: number;
  num_params: number;
  /** How the kernels of the products were chosen; null where there was nothing to choose. */
  kernels: TuningSummary | null;
  /** Which dtype `auto` is here, and why: "f32: …"; null where the dtype was asked for. */
  dtype_reason: string | null;
  /** Steps that were done before, in another run; null where this one is new. */
  resumed_from: number | null;
  /** What is to be known about text and settings, a sentence each. */
  notes: string[];
  /** Why it may not go on as it would have in one piece, a sentence each; none where it does, bit for bit. */
  differences: string[];
  config: Config;
}

export interface StepEvent extends StepRecord {
  type: "step";
}

/** A validation, which trains nothing. */
export interface EvalEvent {
  type: "eval";
  /** Steps that were done before it. */
  step: number;
  /** Mean over the positions of the held-out part, or of a part of it that is always the same. */
  val_loss: number;
}

/** The moment to save a checkpoint, between two steps. */
export interface SaveEvent {
  type: "save";
  /** Steps that were done before it. */
  step: number;
}

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
  /** Where the text came from, for whoever resumes the run. */
  input?: string | null;
  /** The run to go on with; `config` differs from its only as resumedConfig() has it, the documents not at all. */
  resume?: Checkpoint;
}

/** What is not given is the run's own. */
export interface WriteOptions extends Partial<Sampling> {
  /** What every text begins with. */
  prompt?: string;
  /** Of random numbers of their own, so that the run is not disturbed. */
  seed?: number;
  signal?: AbortSignal;
}

export class Training {
  readonly start: StartEvent;
  readonly tokenizer: Tokenizer;
  private readonly validation: Split["validation"];
  private readonly device: Device | undefined;
  private readonly trainer: Trainer;
  private readonly random: PythonRandom;
  private readonly tokens: Tokens;
  private readonly input: string | null;
  /** The tokens' fingerprint, once it was needed. */
  private text: string | undefined;
  /** Steps up to which all is done, a validation included. */
  private done: number;

  private constructor(
    start: StartEvent,
    tokens: Tokens,
    input: string | null,
    tokenizer: Tokenizer,
    validation: Split["validation"],
    device: Device | undefined,
    trainer: Trainer,
    random: PythonRandom,
  ) {
    this.start = start;
    this.done = trainer.step;
    this.tokens = tokens;
    this.input = input;
    this.tokenizer = tokenizer;
    this.validation = validation;
    this.device = device;
    this.trainer = trainer;
    this.random = random;
  }

  /**
   * Shuffles, tokenizes, splits, draws the initial weights, or takes those of the run to resume, readies the device
   * and, where the dtype is `auto`, chooses it.
   * @throws DataError or ConfigError if the text is too short for the settings
   * @throws DataError or ConfigError if text or settings are not those of the run to resume
   * @throws NoWebGpuError if `webgpu` was asked for and there is none
   * @throws TensorTooLargeError if the model fits neither device nor memory, before anything is allocated
   */
  static async open(options: TrainingOptions): Promise<Training> {
    const { resume } = options;
    const asked = resume ? resumedConfig(resume, options.config) : options.config;
    const corpus = corpusOf(options.documents, asked.format);
    const { format, tokenizer, num_docs } = corpus;
    const wanted = { ...asked, format };
    const choice = resume && options.device === "auto" ? resume.device : options.device;
    const random = new PythonRandom(wanted.seed);
    const order = identity(num_docs);
    if (format === "lines") random.shuffle(order);
    const tokens = corpus.tokens(wanted.block_size, order);
    if (resume) await checkText(resume, tokens, tokenizer);
    const { train, validation, ...counts } = splitTokens(wanted, tokens);
    const dims = dimsOf(wanted, tokenizer.vocab_size);
    return makeOn(choice, async (device, fallback) => {
      if (resume && wanted.dtype === "f16") {
        checkHalf(device, "Resume it where there is f16, or begin a new run.");
      }
      const small = chooseSmall(device, wanted, dims, train);
      const { config, dtype_reason } = await chooseDtype(device, wanted, small);
      checkHostMemory(dims, config.batch_size, device ? "webgpu" : "cpu", platform.memory());
      const params = initialParameters(config, dims, random);
      const trainer = await createTrainer(device, config, dims, params, train, options.tuning);
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
        format_reason: corpus.format_reason,
        num_docs,
        ...counts,
        ...coverage(corpus, config.block_size),
        vocab_size: tokenizer.vocab_size,
        num_params: parameterCount(dims),
        kernels: tuning && summaryOf(tuning),
        dtype_reason,
        resumed_from: resume ? resume.step : null,
        notes: startNotes(config, counts.num_tokens - counts.num_val_tokens, parameterCount(dims)),
        differences: resume ? differences(resume, { ...place, config }) : [],
        config,
      };
      const { input = resume?.input ?? null } = options;
      return new Training(start, tokens, input, tokenizer, validation, device, trainer, random);
    }).catch((error: unknown) => {
      throw resume ? withoutDevice(resume, error) : error;
    });
  }

  /** Steps done so far. */
  get step(): number {
    return this.trainer.step;
  }

  /**
   * Every step up to num_steps, and between them the validations: after every eval_every steps and after the
   * last one, where something is held out. After every save_every steps but the last one it tells that a checkpoint
   * is due. Not pulling pauses; an aborted signal ends it after the steps in flight.
   * @throws DivergedError at the first loss or gradient norm that is not finite in float32
   */
  async *run(signal?: AbortSignal): AsyncGenerator<StepEvent | EvalEvent | SaveEvent> {
    const { num_steps, eval_every, save_every } = this.start.config;
    const next = (every: number) =>
      every > 0 ? (Math.floor(this.done / every) + 1) * every : Infinity;
    const isDue = (step: number, every: number) => every > 0 && step % every === 0;
    let until: number;
    do {
      until = Math.min(num_steps, next(eval_every), next(save_every));
      for await (const record of this.trainer.run(until, signal)) {
        const { step, loss, lr, grad_norm, skipped } = record;
        if (!isFloat(loss) || !(skipped || isFloat(grad_norm))) {
          throw diverged(
            `at step ${step} the loss is ${loss} and the gradient norm ${grad_norm}, at a learning rate of ${lr}`,
          );
        }
        yield { type: "step", ...record };
      }
      if (this.step < until) return;
      if (this.done < until) {
        const last = until === num_steps;
        const validates = this.validation.length > 0 && (last || isDue(until, eval_every));
        if (validates) yield await this.evaluate();
        if (!last && isDue(until, save_every)) yield { type: "save", step: until };
      }
      this.done = until;
    } while (until < num_steps);
  }

  /** The steps of run() alone. */
  async *steps(signal?: AbortSignal): AsyncGenerator<StepEvent> {
    for await (const event of this.run(signal)) if (event.type === "step") yield event;
  }

  private async evaluate(): Promise<EvalEvent> {
    const { step } = this;
    const val_loss = await this.trainer.evaluate(this.validation);
    if (!isFloat(val_loss)) throw diverged(`after step ${step} the validation loss is ${val_loss}`);
    return { type: "eval", step, val_loss };
  }

  /** num_samples texts from the model as it is, drawn from the run's own random numbers. */
  samples(signal?: AbortSignal): AsyncGenerator<SampleEvent> {
    return generate(this.writing({ signal }));
  }

  /** Texts for a look in between: from random numbers of their own, so the run is not disturbed. */
  preview(num_samples: number, signal?: AbortSignal): AsyncGenerator<SampleEvent> {
    const seed = this.start.config.seed + this.step;
    return generate(this.writing({ num_samples, seed, signal }));
  }

  /**
   * Texts from the model as it is, piece by piece as they are written.
   * @throws UnknownCharacterError if the prompt has a character that is not in the training text
   */
  write(options: WriteOptions = {}): AsyncGenerator<PieceEvent | SampleEvent> {
    return write(this.writing(options));
  }

  private writing({ seed, ...options }: WriteOptions): GenerateOptions {
    const { tokenizer, trainer, random } = this;
    return {
      ...this.start.config,
      ...options,
      tokenizer,
      random: seed === undefined ? random : new PythonRandom(seed),
      nextLogits: (tokens) => trainer.nextLogits(tokens),
    };
  }

  /** The model as it is after `step` steps. */
  async model(): Promise<Model> {
    const { layout, values } = await this.trainer.parameters();
    return {
      config: this.start.config,
      tokenizer: this.tokenizer,
      step: this.trainer.step,
      layout,
      values,
    };
  }

  /** All that is needed to resume the run after `step` steps, the model included. */
  async checkpoint(): Promise<Checkpoint> {
    const { start, tokens, tokenizer, trainer, input } = this;
    const { config, device, adapter } = start;
    const kernels = start.kernels && start.kernels.id;
    const text = (this.text ??= await fingerprint(tokens, tokenizer));
    const state = await trainer.state();
    return { config, tokenizer, ...state, text, input, device, adapter, kernels };
  }

  /** Gives the device back; nothing can be asked of the run after that. */
  close(): void {
    this.trainer.destroy();
    this.device?.destroy();
  }
}

/** @throws DataError if the run to resume was trained on another text */
async function checkText(resume: Checkpoint, tokens: Tokens, tokenizer: Tokenizer): Promise<void> {
  if (resume.text === (await fingerprint(tokens, tokenizer))) return;
  const from = resume.input === null ? "" : `, which was ${resume.input}`;
  throw new DataError(
    `The text is not the one that the run to resume was trained on${from}: its tokens or their order differ. ` +
      `Give it the same text as before, or begin a new run.`,
  );
}

/** Whether a number is one in float32: weights beyond, where the CPU in float64 still goes on, could not be saved. */
function isFloat(x: number): boolean {
  return Number.isFinite(Math.fround(x));
}

function diverged(where: string): DivergedError {
  return new DivergedError(
    `Training diverged: ${where}. What was saved before is as it was. Lower the learning rate or set a ` +
      `grad_clip, such as 1.`,
  );
}
