// A training run from settings and text to a model: generators of plain objects that the command
// line prints, the page's worker posts and tests assert on.

import { platform } from "#platform";
import type { Config, ConfigChoice } from "../config.ts";
import { chooseDevice, type DeviceChoice } from "../device/choose.ts";
import { DivergedError } from "../errors.ts";
import { generate, type SampleEvent } from "../generation/generate.ts";
import { checkHostMemory } from "../model/memory.ts";
import { dimsOf, initialParameters, parameterCount } from "../model/parameters.ts";
import { PythonRandom } from "../random.ts";
import { type Split, splitTokens, tokenize } from "../text/split.ts";
import { CharTokenizer, type Tokenizer } from "../text/tokenizer.ts";
import { summaryOf, type TuneOptions, type TuningSummary } from "../tuning/tune.ts";
import { chooseDtype } from "./choose_dtype.ts";
import { chooseSmall, createTrainer } from "./choose_trainer.ts";
import type { Model } from "../files/model_files.ts";
import type { StepRecord, Trainer } from "./trainer.ts";

export interface StartEvent {
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
  /** Documents of which only the first block_size tokens are used. */
  num_truncated: number;
  vocab_size: number;
  num_params: number;
  /** How the kernels of the products were chosen; null where there was nothing to choose. */
  kernels: TuningSummary | null;
  /** Which dtype `auto` is here, and why: "f32: …"; null where the dtype was asked for. */
  dtype_reason: string | null;
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

export interface TrainingOptions {
  config: ConfigChoice;
  /** In the order of the text. Format lines shuffles them; to format text they are one stream. */
  documents: readonly string[];
  device: DeviceChoice;
  /** How the kernels of a larger model's products are chosen. */
  tuning?: TuneOptions;
}

export class Training {
  readonly start: StartEvent;
  readonly tokenizer: Tokenizer;
  private readonly validation: Split["validation"];
  private readonly trainer: Trainer;
  private readonly random: PythonRandom;
  /** Steps up to which all is done, a validation included. */
  private evaluated = 0;

  private constructor(
    start: StartEvent,
    tokenizer: Tokenizer,
    validation: Split["validation"],
    trainer: Trainer,
    random: PythonRandom,
  ) {
    this.start = start;
    this.tokenizer = tokenizer;
    this.validation = validation;
    this.trainer = trainer;
    this.random = random;
  }

  /**
   * Shuffles, tokenizes, splits, draws the initial weights, readies the device and, where the dtype is `auto`,
   * chooses it.
   * @throws DataError or ConfigError if the text is too short for the settings
   * @throws NoWebGpuError if `webgpu` was asked for and there is none
   * @throws TensorTooLargeError if the model fits neither device nor memory, before anything is allocated
   */
  static async open({
    config: wanted,
    documents,
    device: choice,
    tuning,
  }: TrainingOptions): Promise<Training> {
    const random = new PythonRandom(wanted.seed);
    const ordered = [...documents];
    if (wanted.format === "lines") random.shuffle(ordered);
    const tokenizer = CharTokenizer.fromDocuments(ordered);
    const tokens = tokenize(wanted, ordered, tokenizer);
    const { train, validation, ...counts } = splitTokens(wanted, tokens);
    const dims = dimsOf(wanted, tokenizer.vocab_size);
    const { device, fallback } = await chooseDevice(choice);
    const small = chooseSmall(device, wanted, dims, train);
    const { config, dtype_reason } = await chooseDtype(device, wanted, small);
    checkHostMemory(dims, config.batch_size, device ? "webgpu" : "cpu", platform.memory());
    const params = initialParameters(config, dims, random);
    const trainer = await createTrainer(device, config, dims, params, train, tuning);
    const start: StartEvent = {
      type: "start",
      device: device ? "webgpu" : "cpu",
      adapter: device ? device.name : null,
      fallback,
      num_docs: documents.length,
      ...counts,
      num_truncated:
        tokens instanceof Int32Array
          ? 0
          : tokens.filter((sequence) => sequence.at(-1) !== tokenizer.bos).length,
      vocab_size: tokenizer.vocab_size,
      num_params: parameterCount(dims),
      kernels: trainer.tuning && summaryOf(trainer.tuning),
      dtype_reason,
      config,
    };
    return new Training(start, tokenizer, validation, trainer, random);
  }

  /** Steps done so far. */
  get step(): number {
    return this.trainer.step;
  }

  /**
   * Every step up to num_steps, and between them the validations: after every eval_every steps and after the
   * last one, where something is held out. Not pulling pauses; an aborted signal ends it after the steps in flight.
   * @throws DivergedError at the first loss or gradient norm that is not finite in float32
   */
  async *run(signal?: AbortSignal): AsyncGenerator<StepEvent | EvalEvent> {
    const { num_steps, eval_every } = this.start.config;
    let until: number;
    do {
      until = Math.min(num_steps, this.evaluated + (eval_every || Infinity));
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
      if (this.evaluated < until && this.validation.length > 0) yield await this.evaluate();
      this.evaluated = until;
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
    return this.sample(this.start.config.num_samples, this.random, signal);
  }

  /** Texts for a look in between: from random numbers of their own, so the run is not disturbed. */
  preview(num_samples: number, signal?: AbortSignal): AsyncGenerator<SampleEvent> {
    return this.sample(num_samples, new PythonRandom(this.start.config.seed + this.step), signal);
  }

  private sample(num_samples: number, random: PythonRandom, signal?: AbortSignal) {
    const { format, temperature, block_size } = this.start.config;
    const { tokenizer, trainer } = this;
    const nextLogits = (tokens: readonly number[]) => trainer.nextLogits(tokens);
    return generate({
      format,
      num_samples,
      temperature,
      block_size,
      tokenizer,
      random,
      signal,
      nextLogits,
    });
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

  close(): void {
    this.trainer.destroy();
  }
}

/** Whether a number is one in float32: weights beyond, where the CPU in float64 still goes on, could not be saved. */
function isFloat(x: number): boolean {
  return Number.isFinite(Math.fround(x));
}

function diverged(where: string): DivergedError {
  return new DivergedError(
    `Training diverged: ${where}. Nothing of it was saved. Lower the learning rate or set a grad_clip, such as 1.`,
  );
}
