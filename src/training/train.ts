// A training run from settings and text to a model: generators of plain objects that the command
// line prints, the page's worker posts and tests assert on.

import { either } from "../either.ts";
import type { Best, Checkpoint } from "../files/checkpoint.ts";
import { mergedModel } from "../files/adapter_files.ts";
import type { Model } from "../files/model_files.ts";
import {
  generate,
  type GenerateOptions,
  type PieceEvent,
  type SampleEvent,
  type Sampling,
  randomsOf,
  write,
} from "../generation/generate.ts";
import { mergedConfig } from "../model/adapters.ts";
import { PythonRandom } from "../random.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { Watch } from "./diverged.ts";
import type { LookEvent, RunEvent, SaveEvent, StartEvent, StepEvent } from "./events.ts";
import type { Identify } from "./many_documents.ts";
import { type OpenedRun, openRun, type TrainingOptions } from "./open_run.ts";
import type { Trainer } from "./trainer.ts";
import { Validation } from "./validation.ts";

export type * from "./events.ts";
export type { TrainingOptions } from "./open_run.ts";

/** What is not given is the run's own. */
export interface WriteOptions extends Partial<Sampling> {
  /** What every text begins with. */
  prompt?: string;
  /** Of random numbers of their own, so that the run is not disturbed. */
  seed?: number;
  signal?: AbortSignal;
}

/** Texts of a look at most. */
const MOST_LOOKED_AT = 5;

/** A run: its steps are done as they are asked for, one after the other. */
export class Training {
  readonly start: StartEvent;
  private readonly options: TrainingOptions;
  readonly tokenizer: Tokenizer;
  private readonly validation: Validation;
  private readonly trainer: Trainer;
  private readonly frozen: Model | undefined;
  private readonly watch: Watch;
  private readonly random: PythonRandom;
  private readonly input: readonly string[] | null;
  private readonly prompt: string;
  /** What the users of a chat begin with. */
  private readonly questions: readonly string[];
  /** The tokens' fingerprint, once it was needed. */
  private text: string | undefined;
  private readonly identify: Identify;
  /** Steps up to which all is done, a validation included; before `step` where that one's is still to come. */
  private done: number;

  private constructor({ options, start, tokenizer, ...opened }: OpenedRun) {
    const { resume, input = resume?.input ?? null, prompt = "" } = options;
    const { trainer } = opened;
    this.options = options;
    this.start = start;
    this.watch = new Watch(start.config);
    this.input = input;
    this.prompt = prompt;
    this.tokenizer = tokenizer;
    this.validation = new Validation(opened.validation, tokenizer, resume?.best ?? null);
    this.trainer = trainer;
    this.frozen = opened.frozen;
    this.identify = opened.identify;
    this.questions = opened.questions;
    this.random = opened.random;
    this.done = resume && !resume.validated ? trainer.step - 1 : trainer.step;
  }

  /** A run that is ready for its first step. @throws what openRun() does */
  static async open(options: TrainingOptions): Promise<Training> {
    return new Training(await openRun(options));
  }

  /** Steps done so far. */
  get step(): number {
    return this.trainer.step;
  }

  /** The validation with the lowest loss so far; null before the first. */
  get best(): Best | null {
    return this.validation.best;
  }

  /**
   * Every step up to num_steps, and between them the validations: after every eval_every steps and after the
   * last one, where something is held out. It tells when a checkpoint is due: after every save_every steps but the
   * last one, save_seconds after it began or the last one was due, and before the last validation. After every
   * sample_every steps but the last it has a few texts written. Where patience runs out, it tells so and ends. Not
   * pulling pauses; an aborted signal ends it after the steps in flight, or within a validation.
   * @throws DivergedError at the first loss or gradient norm that is not finite in float32
   */
  async *run(signal?: AbortSignal): AsyncGenerator<RunEvent> {
    const { num_steps, eval_every, save_every, save_seconds, sample_every } = this.start.config;
    const next = (every: number) =>
      every > 0 ? (Math.floor(this.done / every) + 1) * every : Infinity;
    let savedAt = performance.now();
    const isLate = () => save_seconds > 0 && performance.now() - savedAt >= save_seconds * 1000;
    let until: number;
    do {
      const stop = this.validation.stopAfter(this.step, this.start.config);
      if (stop !== null) return yield stop;
      until = Math.min(num_steps, next(eval_every), next(save_every), next(sample_every));
      const pause = new AbortController();
      const ended = either(signal, pause.signal);
      for await (const record of this.trainer.run(until, ended)) {
        this.watch.check(record);
        yield { type: "step", ...record };
        if (isLate()) pause.abort();
      }
      const { step } = this;
      if (step < until && !pause.signal.aborted) return;
      const last = step === num_steps;
      let due: SaveEvent["due"] | null = null;
      if (step === until && this.done < until) {
        if (this.validatesAfter(step)) {
          if (last) yield { type: "save", step, due: "validation" };
          const event = await this.validation.after(step, this.trainer, this.watch, signal);
          if (event === null) return;
          this.done = until;
          yield event;
        }
        this.done = until;
        if (isDue(step, sample_every) && !last) yield* this.look(signal);
        if (isDue(step, save_every)) due = "steps";
      }
      if (isLate()) due ??= "time";
      if (due !== null && !last) {
        yield { type: "save", step, due };
        savedAt = performance.now();
      }
    } while (this.step < num_steps);
  }

  /** The steps of run() alone. */
  async *steps(signal?: AbortSignal): AsyncGenerator<StepEvent> {
    for await (const event of this.run(signal)) if (event.type === "step") yield event;
  }

  /** A validation's loss in bits for each byte of the text; null where what is held out has none. */
  bitsPerByte(val_loss: number): number | null {
    return this.validation.bitsPerByte(val_loss);
  }

  private validatesAfter(step: number): boolean {
    const { num_steps, eval_every } = this.start.config;
    return this.validation.possible && (step === num_steps || isDue(step, eval_every));
  }

  private async *look(signal?: AbortSignal): AsyncGenerator<LookEvent> {
    const { step } = this;
    const texts = this.preview(Math.min(MOST_LOOKED_AT, this.start.config.num_samples), signal);
    for await (const { index, text } of texts) yield { type: "look", step, index, text };
  }

  /** num_samples texts from the model as it is, drawn as randomsOf() the run's seed has it. */
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
    const { tokenizer, trainer, random, prompt, questions } = this;
    const config = mergedConfig(this.start.config); // so writes the model that comes of it
    return {
      ...config,
      prompt,
      questions,
      ...options,
      tokenizer,
      random: randomsOf(config, seed, random),
      decode: (continuation) => trainer.decode(continuation),
    };
  }

  /**
   * The model as it is after `step` steps, a copy that later steps leave as it is. On a GPU that may be some steps
   * after the last one that run() gave: those in flight are waited for. To be awaited before the next step is pulled.
   */
  async model(): Promise<Model> {
    const { start, tokenizer, trainer, frozen } = this;
    const model = { config: start.config, tokenizer, ...(await trainer.parameters()) };
    return frozen ? mergedModel({ ...model, frozen }) : model;
  }

  /**
   * All that is needed to resume the run after `step` steps, the model included; a copy, as model() gives it.
   * @param signal for the first one, which of a long text takes a while
   * @throws the signal's reason soon after it is aborted
   */
  async checkpoint(signal?: AbortSignal): Promise<Checkpoint> {
    const { start, tokenizer, trainer, input, options } = this;
    const { resume, initFrom } = options;
    const asked_vocab_size = resume?.asked_vocab_size ?? options.config.vocab_size;
    const initialized = resume?.initialized ?? initFrom !== undefined;
    const { config, device, adapter } = start;
    const beside = this.frozen && { frozen: this.frozen };
    const place = { input, device, adapter, kernels: start.kernels && start.kernels.id };
    const text = (this.text ??= await this.identify(signal));
    const state = await trainer.state();
    const validated = this.done >= state.step || !this.validatesAfter(state.step);
    const { best } = this.validation;
    return {
      config,
      tokenizer,
      ...state,
      ...beside,
      text,
      ...place,
      validated,
      best,
      asked_vocab_size,
      initialized,
    };
  }

  /** Gives back all that the run holds; nothing can be asked of it after that. */
  close(): void {
    this.trainer.destroy();
  }
}

/** Whether something that is done every so many steps is due after a step. */
function isDue(step: number, every: number): boolean {
  return every > 0 && step % every === 0;
}
