// A training run from settings and documents to a model: generators of plain objects that the command
// line prints, the page's worker posts and tests assert on.

import { platform } from "#platform";
import type { Config } from "../config.ts";
import { chooseDevice, type DeviceChoice } from "../device/choose.ts";
import { DivergedError } from "../errors.ts";
import { generate, type SampleEvent } from "../generation/generate.ts";
import { checkHostMemory } from "../model/memory.ts";
import { dimsOf, initialParameters, parameterCount } from "../model/parameters.ts";
import { PythonRandom } from "../random.ts";
import { tokenizeDocuments } from "../text/batches.ts";
import { CharTokenizer, type Tokenizer } from "../text/tokenizer.ts";
import { summaryOf, type TuneOptions, type TuningSummary } from "../tuning/tune.ts";
import { createTrainer } from "./choose_trainer.ts";
import type { Model } from "../files/model_files.ts";
import type { StepRecord, Trainer } from "./trainer.ts";

export interface StartEvent {
  type: "start";
  device: "webgpu" | "cpu";
  /** The GPU's name; null on the CPU. */
  adapter: string | null;
  /** Why `auto` took the CPU; null where it did not. */
  fallback: string | null;
  num_docs: number;
  /** Documents of which only the first block_size tokens are used. */
  num_truncated: number;
  vocab_size: number;
  num_params: number;
  /** How the kernels of the products were chosen; null where there was nothing to choose. */
  kernels: TuningSummary | null;
  config: Config;
}

export interface StepEvent extends StepRecord {
  type: "step";
}

export interface TrainingOptions {
  config: Config;
  /** In the order of the text; shuffled here. */
  documents: readonly string[];
  device: DeviceChoice;
  /** How the kernels of a larger model's products are chosen. */
  tuning?: TuneOptions;
}

export class Training {
  readonly start: StartEvent;
  readonly tokenizer: Tokenizer;
  private readonly trainer: Trainer;
  private readonly random: PythonRandom;

  private constructor(
    start: StartEvent,
    tokenizer: Tokenizer,
    trainer: Trainer,
    random: PythonRandom,
  ) {
    this.start = start;
    this.tokenizer = tokenizer;
    this.trainer = trainer;
    this.random = random;
  }

  /**
   * Shuffles, tokenizes, draws the initial weights and readies the device.
   * @throws NoWebGpuError if `webgpu` was asked for and there is none
   * @throws TensorTooLargeError if the model fits neither device nor memory, before anything is allocated
   */
  static async open({
    config,
    documents,
    device: choice,
    tuning,
  }: TrainingOptions): Promise<Training> {
    const random = new PythonRandom(config.seed);
    const shuffled = [...documents];
    random.shuffle(shuffled);
    const tokenizer = CharTokenizer.fromDocuments(shuffled);
    const dims = dimsOf(config, tokenizer.vocab_size);
    const { device, fallback } = await chooseDevice(choice);
    checkHostMemory(dims, config.batch_size, device ? "webgpu" : "cpu", platform.memory());
    const sequences = tokenizeDocuments(shuffled, tokenizer, config.block_size);
    const params = initialParameters(config, dims, random);
    const trainer = await createTrainer(device, config, dims, params, sequences, tuning);
    const start: StartEvent = {
      type: "start",
      device: device ? "webgpu" : "cpu",
      adapter: device ? device.name : null,
      fallback,
      num_docs: documents.length,
      num_truncated: sequences.filter((tokens) => tokens.at(-1) !== tokenizer.bos).length,
      vocab_size: tokenizer.vocab_size,
      num_params: parameterCount(dims),
      kernels: trainer.tuning && summaryOf(trainer.tuning),
      config,
    };
    return new Training(start, tokenizer, trainer, random);
  }

  /** Steps done so far. */
  get step(): number {
    return this.trainer.step;
  }

  /**
   * Every step up to num_steps. Not pulling pauses; an aborted signal ends it after the steps in flight.
   * @throws DivergedError at the first loss or gradient norm that is not finite in float32
   */
  async *steps(signal?: AbortSignal): AsyncGenerator<StepEvent> {
    for await (const record of this.trainer.run(this.start.config.num_steps, signal)) {
      // beyond float32, even where the CPU goes on in float64: such weights could not be saved
      if (![record.loss, record.grad_norm].every((x) => Number.isFinite(Math.fround(x)))) {
        throw new DivergedError(
          `Training diverged: at step ${record.step} the loss is ${record.loss} and the gradient norm ` +
            `${record.grad_norm}, at a learning rate of ${record.lr}. Nothing of it was saved. ` +
            `Lower the learning rate or set a grad_clip, such as 1.`,
        );
      }
      yield { type: "step", ...record };
    }
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
    const { temperature, block_size } = this.start.config;
    const { tokenizer, trainer } = this;
    const nextLogits = (tokens: readonly number[]) => trainer.nextLogits(tokens);
    return generate({
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
