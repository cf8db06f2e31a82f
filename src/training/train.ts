// A training run from settings and text to a model: generators of plain objects that the command
// line prints, the page's worker posts and tests assert on.

import { platform } from "#platform";
import { isHalf, isStream } from "../choices.ts";
import type { ConfigChoice } from "../config.ts";
import { conflicts } from "../config/conflicts.ts";
import { chooseDevice, type DeviceChoice } from "../device/choose.ts";
import { type Best, type Checkpoint, checkSavable } from "../files/checkpoint.ts";
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
import { estimate, trainingWork } from "../model/work.ts";
import { PythonRandom } from "../random.ts";
import { textFacts } from "../text/facts.ts";
import { identity } from "../text/documents.ts";
import { corpusOf, type TextSource } from "../text/read_corpus.ts";
import { firstQuestions } from "../text/chat.ts";
import { skippedOf } from "../text/tokenized.ts";
import { splitTokens } from "../text/split.ts";
import { encodePrompt } from "../tokenizer/prompt.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { summaryOf, type TuneOptions } from "../tuning/tune.ts";
import { chooseBatch } from "./choose_batch.ts";
import { chooseDtype } from "./choose_dtype.ts";
import { settleText } from "./settle_text.ts";
import { checkHalf, chooseSmall, createTrainer } from "./choose_trainer.ts";
import type { Model } from "../files/model_files.ts";
import type {
  LookEvent,
  PrepareEvent,
  RunEvent,
  SaveEvent,
  StartEvent,
  StepEvent,
} from "./events.ts";
import { startNotes } from "./notes.ts";
import { checkText, differences, resumedConfig, withoutDevice } from "./resume.ts";
import { identifier, type Identify, shuffleDocuments } from "./many_documents.ts";
import { Watch } from "./diverged.ts";
import type { Trainer } from "./trainer.ts";
import { Validation } from "./validation.ts";

export type * from "./events.ts";

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
}

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
  readonly tokenizer: Tokenizer;
  private readonly validation: Validation;
  private readonly trainer: Trainer;
  private readonly watch: Watch;
  private readonly random: PythonRandom;
  private readonly input: readonly string[] | null;
  private readonly asked_vocab_size: number;
  private readonly prompt: string;
  /** What the users of a chat begin with. */
  private readonly questions: readonly string[];
  /** The tokens' fingerprint, once it was needed. */
  private text: string | undefined;
  private readonly identify: Identify;
  /** Steps up to which all is done, a validation included; before `step` where that one's is still to come. */
  private done: number;

  private constructor(
    start: StartEvent,
    identify: Identify,
    { input = null, prompt = "" }: Pick<TrainingOptions, "input" | "prompt">,
    asked_vocab_size: number,
    questions: readonly string[],
    tokenizer: Tokenizer,
    validation: Validation,
    trainer: Trainer,
    random: PythonRandom,
  ) {
    this.start = start;
    this.done = trainer.step;
    this.watch = new Watch(start.config);
    this.identify = identify;
    this.input = input;
    this.asked_vocab_size = asked_vocab_size;
    this.prompt = prompt;
    this.questions = questions;
    this.tokenizer = tokenizer;
    this.validation = validation;
    this.trainer = trainer;
    this.random = random;
  }

  /**
   * Shuffles, tokenizes, splits, draws the initial weights, or takes those of the run to resume, readies the device
   * and, where the dtype is `auto`, chooses it.
   * @throws DataError or ConfigError if the text is too short for the settings
   * @throws DataError or ConfigError if text or settings are not those of the run to resume
   * @throws UnknownCharacterError if the prompt has a character that is not in the text
   * @throws NoWebGpuError if `webgpu` was asked for and there is none
   * @throws TensorTooLargeError if the model fits neither device nor memory, before anything is allocated
   * @throws ModelFileError if the model could not be saved, for its characters or layers are too many
   */
  static async open(options: TrainingOptions): Promise<Training> {
    const { resume } = options;
    const asked = resume ? resumedConfig(resume, options.config) : options.config;
    const corpus = corpusOf(options.documents, asked);
    const { format, num_docs } = corpus;
    const { progress, tuning: { signal } = {} } = options;
    const settled = await settleText(corpus, [asked], {
      given: options.tokenizer,
      before: resume?.tokenizer,
      progress,
      signal,
    });
    const { text } = settled.tokens;
    const { tokenizer } = text;
    const [wanted] = settled.configs;
    for (const conflict of conflicts(wanted)) throw conflict; // with what the text has decided
    const { input = resume?.input ?? null, prompt = "" } = options;
    const promptLength = encodePrompt(tokenizer, prompt).length;
    const choice = resume && options.device === "auto" ? resume.device : options.device;
    const random = new PythonRandom(wanted.seed);
    const order = identity(num_docs);
    if (!isStream(format)) await shuffleDocuments(order, random, { progress, signal });
    const tokens = text.tokens(wanted.block_size, order, wanted);
    const identify = identifier(corpus, wanted, tokens, tokenizer, progress);
    if (resume) checkText(resume, await identify(signal));
    const { train, validation, ...counts } = splitTokens(wanted, tokens);
    const dims = dimsOf(wanted, tokenizer.vocab_size);
    const work = trainingWork(wanted, dims, {
      steps: wanted.num_steps - (resume?.step ?? 0),
      length: isStream(format)
        ? wanted.block_size
        : (counts.num_tokens - counts.num_val_tokens) / (num_docs - counts.num_val_docs),
      validated: validation.reduce((sum, { length }) => sum + length - 1, 0),
    });
    // What the CPU cannot do is not weighed.
    const weighed = isHalf(wanted.dtype) ? undefined : estimate([work]);
    const { device, fallback, device_reason } = await chooseDevice(choice, weighed).catch(
      (error: unknown) => {
        throw resume ? withoutDevice(resume, error) : error;
      },
    );
    if (resume && isHalf(resume.config.dtype)) {
      checkHalf(device, "Resume it where there is f16, or begin a new run.");
    }
    const small = chooseSmall(device, wanted, dims, train);
    const typed = await chooseDtype(device, wanted, small);
    const { config, batch_reason } =
      asked.batch_size === "auto"
        ? await chooseBatch(device, typed.config, dims, small)
        : { ...typed, batch_reason: null };
    checkHostMemory(config, dims, device ? "webgpu" : "cpu", platform.memory());
    checkSavable(config, tokenizer, input ?? []);
    const params = initialParameters(config, dims, random);
    const trainer = await createTrainer(device, config, dims, params, train, {
      tuning: options.tuning,
      validates: validation.length > 0,
      writes: config.num_samples > 0,
      progress: options.progress,
      signal: options.tuning?.signal,
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
      num_params: parameterCount(dims),
      kernels: tuning && summaryOf(tuning),
      dtype_reason: typed.dtype_reason,
      batch_reason,
      resumed_from: resume ? resume.step : null,
      notes: [
        ...startNotes(config, {
          num_tokens: counts.num_tokens - counts.num_val_tokens,
          num_params: parameterCount(dims),
          prompt: promptLength,
          recomputes: device !== undefined && small === undefined,
        }),
        ...settled.notes,
      ],
      differences: resume ? differences(resume, { ...place, config }) : [],
      config,
    };
    const judge = new Validation(validation, tokenizer, resume?.best ?? null);
    const training = new Training(
      start,
      resume ? () => Promise.resolve(resume.text) : identify,
      { input, prompt },
      resume?.asked_vocab_size ?? options.config.vocab_size,
      firstQuestions(corpus.conversations, order),
      tokenizer,
      judge,
      trainer,
      random,
    );
    if (resume && !resume.validated) training.done--;
    return training;
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
      const ended = signal ? AbortSignal.any([signal, pause.signal]) : pause.signal;
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
    const { tokenizer, trainer, random, prompt, questions } = this;
    return {
      ...this.start.config,
      prompt,
      questions,
      ...options,
      tokenizer,
      random: seed === undefined ? random : new PythonRandom(seed),
      decode: (continuation) => trainer.decode(continuation),
    };
  }

  /**
   * The model as it is after `step` steps, a copy that later steps leave as it is. On a GPU that may be some steps
   * after the last one that run() gave: those in flight are waited for. To be awaited before the next step is pulled.
   */
  async model(): Promise<Model> {
    const { start, tokenizer, trainer } = this;
    return { config: start.config, tokenizer, ...(await trainer.parameters()) };
  }

  /**
   * All that is needed to resume the run after `step` steps, the model included; a copy, as model() gives it.
   * @param signal for the first one, which of a long text takes a while
   * @throws the signal's reason soon after it is aborted
   */
  async checkpoint(signal?: AbortSignal): Promise<Checkpoint> {
    const { start, tokenizer, trainer, input, asked_vocab_size } = this;
    const { config, device, adapter } = start;
    const place = { input, device, adapter, kernels: start.kernels && start.kernels.id };
    const text = (this.text ??= await this.identify(signal));
    const state = await trainer.state();
    const validated = this.done >= state.step || !this.validatesAfter(state.step);
    const { best } = this.validation;
    return { config, tokenizer, ...state, text, ...place, validated, best, asked_vocab_size };
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
