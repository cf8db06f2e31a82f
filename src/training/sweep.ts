// Trains many models that differ in their settings: those that fit a workgroup many at a time, one workgroup
// each, the others one after the other.

import { platform } from "#platform";
import { isChat, isHalf, isStream } from "../choices.ts";
import type { Config, ConfigChoice, ReadConfig } from "../config.ts";
import { type ChosenDevice, chooseDevice, type DeviceChoice } from "../device/choose.ts";
import type { Device } from "../device/device.ts";
import { checkSavable } from "../files/checkpoint.ts";
import type { Model } from "../files/model_files.ts";
import { checkHostMemory } from "../model/memory.ts";
import { type Dims, dimsOf, initialParameters } from "../model/parameters.ts";
import type { SmallRun } from "../small/data.ts";
import type { SmallTuning } from "../small/ops.ts";
import { PythonRandom } from "../random.ts";
import { bitsPerByte, sizeOfTargets } from "../text/bits_per_byte.ts";
import { type Documents, identity } from "../text/documents.ts";
import type { TokenizedText } from "../text/tokenized.ts";
import { corpusOf, type TextSource } from "../text/read_corpus.ts";
import { type TextFacts, textFacts } from "../text/facts.ts";
import type { PrepareEvent } from "./events.ts";
import { checkConversations, sweepReading } from "./sweep_text.ts";
import { settleText } from "./settle_text.ts";
import type { Tokens } from "./tokenize.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { TuneOptions } from "../tuning/tune.ts";
import { heldOut, isOneStream, splitTokens } from "../text/split.ts";
import { chooseBatch } from "./choose_batch.ts";
import { chooseDtype } from "./choose_dtype.ts";
import { checkHalf, createTrainer } from "./choose_trainer.ts";
import { evaluateParameters } from "./gpu_evaluator.ts";
import { SmallRuns } from "../small/runs.ts";
import { checkComparable, compileSweep, estimateSweep, planSweep } from "./sweep_plan.ts";
import { checkInitial } from "./init_from.ts";
import { better, type SweepModel } from "./sweep_model.ts";
import { isFloat, Tally } from "./tally.ts";

export interface SweepStart extends TextFacts {
  type: "start";
  device: "webgpu" | "cpu";
  /** The GPU's name; null on the CPU. */
  adapter: string | null;
  /** Why `auto` took the CPU; null where it did not. */
  fallback: string | null;
  /** What `auto` weighed where there was the CPU or a GPU in software to take; null where there was no choice. */
  device_reason: string | null;
  /** 1 where the text is one stream. */
  num_docs: number;
  /** Of the stream; null where the text is documents. */
  num_tokens: number | null;
  num_models: number;
  /** Models that are trained many at a time. */
  num_small: number;
  /** Steps of all models together. */
  model_steps: number;
  /** Which dtype `auto` is for some of the models, and why: "f32: …"; none where no model's dtype is left open. */
  dtype_reasons: string[];
}

export interface SweepProgress {
  type: "progress";
  models: number;
  model_steps: number;
}

export interface SweepOptions {
  configs: readonly ConfigChoice[];
  /** As a training's; each model of format lines shuffles by its own seed those that none is validated with. */
  documents: TextSource;
  device: DeviceChoice;
  /** What tokenizer `file` stands for. */
  tokenizer?: Tokenizer;
  /** How the kernels of larger models' products are chosen. */
  tuning?: TuneOptions;
  /** Told how far the sweep is with what comes before the first step of its models. */
  progress?: (event: PrepareEvent) => void;
}

/** Longest time between two signs of progress, in ms. */
const PROGRESS_MS = 100;

export class Sweep {
  readonly start: SweepStart;
  private readonly options: SweepOptions;
  /** With their dtypes chosen. */
  private readonly configs: readonly Config[];
  private readonly device: Device | undefined;
  private readonly tokenizer: Tokenizer;
  private readonly plan: ReturnType<typeof planSweep>;
  /** The documents that all models are validated with, those that `train` holds out with the first one's seed. */
  private readonly held: Uint32Array;
  /** Models whose runs are over. */
  models = 0;
  /** Steps of all models together that are done. */
  model_steps = 0;
  private winner: { outcome: SweepModel; model: Model } | undefined;

  private constructor(
    options: SweepOptions,
    { device, fallback, device_reason }: ChosenDevice,
    tokens: Tokens,
    plan: ReturnType<typeof planSweep>,
    { configs, dtype_reasons }: { configs: Config[]; dtype_reasons: string[] },
  ) {
    const { tokenizer, num_docs } = tokens.text;
    this.options = options;
    this.configs = configs;
    this.device = device;
    this.tokenizer = tokenizer;
    this.plan = plan;
    const [{ tokens: stream }] = this.plan;
    const [first] = configs;
    const docs = isOneStream(stream) ? 0 : stream.length;
    this.held = documentOrder(first.seed, docs).order.subarray(docs - heldOut(first, docs));
    this.start = {
      type: "start",
      device: device ? "webgpu" : "cpu",
      adapter: device ? device.name : null,
      fallback,
      device_reason,
      ...textFacts(tokens, Math.max(...configs.map(({ block_size }) => block_size))),
      num_docs,
      num_tokens: isOneStream(stream) ? stream.length : null,
      num_models: configs.length,
      num_small: this.plan.reduce(
        (sum, { tuning, indices }) => sum + (tuning ? indices.length : 0),
        0,
      ),
      model_steps: configs.reduce((sum, { num_steps }) => sum + num_steps, 0),
      dtype_reasons,
    };
  }

  /**
   * @throws NoWebGpuError if `webgpu` was asked for and there is none
   * @throws TensorTooLargeError if one of the models does not fit memory
   * @throws DataError or ConfigError if the text is too short for one of them
   * @throws ConfigError if their losses could not be compared, being of other parts of the text
   * @throws ConfigError if the device cannot train with the dtype of one of them
   * @throws ModelFileError if one of them could not be saved, for its characters or layers are too many
   */
  static async open(options: SweepOptions): Promise<Sweep> {
    const { documents, device: choice } = options;
    checkComparable(options.configs);
    for (const config of options.configs) checkInitial(undefined, config);
    const corpus = corpusOf(documents, sweepReading(options.configs));
    const { tokens, configs } = await settleText(corpus, options.configs, {
      given: options.tokenizer,
      progress: options.progress,
      signal: options.tuning?.signal,
    });
    const { text } = tokens;
    const { tokenizer } = text;
    if (isChat(text.format)) checkConversations(options.configs);
    const place = await chooseDevice(choice, estimateSweep(configs, text));
    const { device } = place;
    for (const config of new Map(configs.map((config) => [config.n_layer, config])).values()) {
      checkSavable(config, tokenizer);
    }
    const plan = planSweep(device, configs, text);
    const open = options.configs.map(({ batch_size }) => batch_size === "auto");
    const chosen = await meetDevice(device, configs, plan, open);
    for (const config of chosen.configs) {
      const dims = dimsOf(config, tokenizer.vocab_size);
      checkHostMemory(config, dims, device ? "webgpu" : "cpu", platform.memory());
    }
    if (device) await compileSweep(device, chosen.configs, plan, options);
    return new Sweep(options, place, tokens, plan, chosen);
  }

  /**
   * Trains them all. Once `signal` is aborted no further step is begun; the models in flight are told as
   * they are, those that were not begun are left out.
   * @throws GpuError if the device fails
   */
  async *run(signal?: AbortSignal): AsyncGenerator<SweepProgress | SweepModel> {
    for (const { dims, tuning, indices, tokens } of this.plan) {
      if (signal?.aborted) return;
      if (tuning) yield* this.runTogether(dims, tuning, tokens as Documents, indices, signal);
      else yield* this.runAlone(dims, tokens, indices[0], signal);
    }
  }

  private async *runTogether(
    dims: Dims,
    tuning: SmallTuning,
    sequences: Documents,
    indices: readonly number[],
    signal?: AbortSignal,
  ): AsyncGenerator<SweepProgress | SweepModel> {
    const configs = indices.map((index) => this.configs[index]);
    const tallies = configs.map(({ num_steps }) => new Tally(num_steps));
    const starts = this.startingPoints(configs, dims, sequences.length);
    const docs = sequences.length - this.held.length;
    const runs = await SmallRuns.create(this.device!, dims, tuning, sequences, starts, docs);
    try {
      const longest = Math.max(...configs.map(({ num_steps }) => num_steps));
      for await (const { first, steps, records } of runs.windows.run(longest, signal)) {
        tallies.forEach((tally, m) => {
          const count = Math.min(steps, configs[m].num_steps - first);
          for (let k = 0; k < count; k++) {
            const at = (k * tallies.length + m) * 2;
            tally.add(records[at], records[at + 1]);
          }
          this.model_steps += Math.max(count, 0);
        });
        yield this.progress();
      }
      for (const [m, index] of indices.entries()) {
        if (tallies[m].steps === 0) continue;
        const { validation } = splitTokens(configs[m], sequences.inOrder(starts[m].order));
        const val_loss = await validate(validation, tallies[m], signal, async () => {
          const { values } = await runs.parameters(m);
          return evaluateParameters(this.device!, configs[m], dims, values, validation);
        });
        yield await this.end(index, tallies[m], val_loss, validation, () => runs.parameters(m));
      }
    } finally {
      runs.destroy();
    }
  }

  private async *runAlone(
    dims: Dims,
    tokens: ReturnType<TokenizedText["tokens"]>,
    index: number,
    signal?: AbortSignal,
  ): AsyncGenerator<SweepProgress | SweepModel> {
    const config = this.configs[index];
    const tally = new Tally(config.num_steps);
    const [{ params, order }] = this.startingPoints([config], dims, tokens.length);
    const ordered = isOneStream(tokens) ? tokens : tokens.inOrder(order);
    const { train, validation } = splitTokens(config, ordered);
    const { tuning, progress } = this.options;
    const trainer = await createTrainer(this.device, config, dims, params, train, {
      tuning,
      validates: validation.length > 0,
      progress,
      signal,
    });
    try {
      let shown = performance.now();
      for await (const { loss, grad_norm, skipped } of trainer.run(config.num_steps, signal)) {
        tally.add(loss, grad_norm, skipped);
        this.model_steps++;
        if (tally.diverged) break;
        if (performance.now() - shown < PROGRESS_MS) continue;
        yield this.progress();
        shown = performance.now();
      }
      if (tally.steps === 0) return;
      const val_loss = await validate(validation, tally, signal, () =>
        trainer.evaluate(validation, signal),
      );
      yield await this.end(index, tally, val_loss, validation, () => trainer.parameters());
    } finally {
      trainer.destroy();
    }
  }

  /** Every model's weights and the order of its documents as `train` draws them from its seed, what is held out last. */
  private startingPoints(
    configs: readonly Config[],
    dims: Dims,
    length: number,
  ): (SmallRun & { params: Float64Array; order: Uint32Array })[] {
    const held = new Set(this.held);
    const drawn = new Map<string, { params: Float64Array; order: Uint32Array }>();
    const orders = new Map<number, Uint32Array>();
    return configs.map((config) => {
      const { seed, init_std, zero_init, format } = config;
      const key = JSON.stringify([seed, init_std, zero_init]);
      let start = drawn.get(key);
      if (start === undefined) {
        // A stream has no order to draw.
        const { order, random } = documentOrder(seed, isStream(format) ? 0 : length);
        // One object for each seed: models that share an order share its place on the device.
        if (!orders.has(seed)) {
          const trained = order.filter((d) => !held.has(d));
          orders.set(seed, Uint32Array.from([...trained, ...this.held]));
        }
        const params = initialParameters(config, dims, random);
        start = { params, order: orders.get(seed)! };
        drawn.set(key, start);
      }
      return { config, ...start };
    });
  }

  private progress(): SweepProgress {
    return { type: "progress", models: this.models, model_steps: this.model_steps };
  }

  /** Tells a model's outcome, and keeps the model if it is the best so far. */
  private async end(
    index: number,
    tally: Tally,
    val_loss: number | null,
    validation: readonly Int32Array[],
    parameters: () => Promise<Pick<Model, "layout" | "values">>,
  ): Promise<SweepModel> {
    const config = this.configs[index];
    const { steps, loss, mean: mean_loss } = tally;
    const final_loss = tally.diverged ? NaN : loss;
    const outcome: SweepModel = {
      type: "model",
      index,
      config,
      steps,
      final_loss,
      mean_loss,
      val_loss,
      bits_per_byte:
        val_loss === null ? null : bitsPerByte(val_loss, sizeOfTargets(validation, this.tokenizer)),
    };
    this.models++;
    if (better(outcome, this.winner?.outcome)) {
      const { layout, values } = await parameters();
      const model = {
        config,
        tokenizer: this.tokenizer,
        step: steps,
        layout,
        values: values.slice(),
      };
      this.winner = { outcome, model };
    }
    return outcome;
  }

  /** The model with the lowest rank so far; undefined if none was trained without diverging. */
  get best(): { outcome: SweepModel; model: Model } | undefined {
    return this.winner;
  }
}

/**
 * The configs of a plan with their dtypes chosen, and their batches, and each reason for a dtype once.
 * @param open which of their batches are to be chosen
 */
async function meetDevice(
  device: Device | undefined,
  wanted: readonly ReadConfig[],
  plan: ReturnType<typeof planSweep>,
  open: readonly boolean[],
) {
  const configs: Config[] = [];
  const reasons = new Set<string>();
  for (const { tuning, indices, dims } of plan) {
    const { config, dtype_reason } = await chooseDtype(device, wanted[indices[0]], tuning);
    if (isHalf(config.dtype)) checkHalf(device); // before anything is trained
    for (const index of indices) {
      const typed = { ...wanted[index], dtype: config.dtype };
      configs[index] = open[index]
        ? (await chooseBatch(device, typed, dims, tuning)).config
        : typed;
    }
    if (dtype_reason !== null) reasons.add(dtype_reason);
  }
  return { configs, dtype_reasons: [...reasons] };
}

/** @param evaluate gives the loss of what is held out, if something is */
async function validate(
  { length }: readonly Int32Array[],
  { diverged }: Tally,
  signal: AbortSignal | undefined,
  evaluate: () => Promise<number>,
): Promise<number | null> {
  if (length === 0) return null;
  if (diverged) return NaN;
  if (signal?.aborted) return null;
  try {
    const val_loss = await evaluate();
    return isFloat(val_loss) ? val_loss : NaN;
  } catch (error) {
    if (signal?.aborted) return null; // what has been learnt counts all the same
    throw error;
  }
}

/** The order that a seed gives so many documents, and the generator behind it. */
function documentOrder(seed: number, docs: number): { order: Uint32Array; random: PythonRandom } {
  const random = new PythonRandom(seed);
  const order = identity(docs);
  random.shuffle(order);
  return { order, random };
}
