// Trains on the GPU: the whole step is one schedule, replayed with one submit a step and nothing awaited.

import { isHalf } from "../choices.ts";
import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { compile, type Preparation } from "../device/prepare.ts";
import { Schedule } from "../device/schedule.ts";
import {
  type Tensor,
  allocateTensors,
  checkTensors,
  destroyTensors,
  placeholders,
  readTensor,
  sliceTensor,
  writeTensor,
} from "../device/tensors.ts";
import type { TrainerState } from "../files/checkpoint.ts";
import type { Continuation, DecodedToken } from "../generation/decoder.ts";
import { GpuDecoder } from "../generation/gpu_decoder.ts";
import { frozenDims, mergedConfig } from "../model/adapters.ts";
import { frozenLayouts } from "../model/linear.ts";
import { mergeAdapters } from "../model/merge.ts";
import { biasCorrections, learningRate, scheduleFactor } from "../model/optimizer.ts";
import { type MomentName, momentLayouts } from "../model/optimizer_state.ts";
import { type Dims, PARAMETER_ALIGNMENT, ParameterLayout } from "../model/parameters.ts";
import { LARGEST_SCALE, SLOTS, StepData } from "../model/step_data.ts";
import { type Examples, microBatchesAt } from "../text/batches.ts";
import type { Tuning } from "../tuning/tune.ts";
import { planTexts, writingSizes } from "../model/text_plan.ts";
import { writeTurns } from "../model/turns.ts";
import { planStep, type StepPlan } from "../model/step_plan.ts";
import { GpuEvaluator } from "./gpu_evaluator.ts";
import type { StepRecord, Trainer } from "./trainer.ts";
import { boundAtOnce, checkWriting, writeFrozen } from "./frozen_weights.ts";
import { type StepWindow, WINDOWS, Windows } from "../device/windows.ts";

/** Steps of a window at most. */
export const CAPACITY = SLOTS / WINDOWS;

/** On gradients at first, with dtype f16. */
const SCALE = 2 ** 16;
/** The halvings that bring the largest scale down to 1. */
const MOST_SKIPS = Math.log2(LARGEST_SCALE);

type Weights = Float32Array | Float64Array;

export class GpuTrainer implements Trainer {
  readonly tuning: Tuning | null;
  private tokens = 0;
  /** Whether gradients are scaled, so that as f16 they are not too small. */
  private readonly scaled: boolean;
  /** Steps without an update, one after the other. */
  private skips = 0;
  /** Of the steps that were submitted and are not yet confirmed, in order. */
  private readonly submitted: Pick<StepRecord, "lr" | "tokens">[] = [];
  private readonly confirmed: StepRecord[] = []; // read, not yet yielded
  private readonly windows: Windows;
  /** One for all texts; where adapters are trained, of the weights with those of a step. */
  private decoder: { step: number; made: Promise<GpuDecoder> } | undefined;
  private evaluator: GpuEvaluator | undefined;

  private readonly device: Device;
  private readonly config: Config;
  private readonly layout: ParameterLayout;
  private readonly examples: Examples;
  private readonly stepData: StepData;
  readonly tensors: Record<string, Tensor>;
  /** The whole step, or of one in micro-batches the last. */
  readonly schedule: Schedule;
  /** Each of the micro-batches before. */
  private readonly micro: Schedule | undefined;
  private readonly evaluation: StepPlan["evaluation"];
  /** Of a model with adapters the other weights, as they are without rounding. */
  private readonly frozen: Weights | undefined;

  private constructor(
    device: Device,
    config: Config,
    layout: ParameterLayout,
    examples: Examples,
    stepData: StepData,
    tensors: Record<string, Tensor>,
    schedule: Schedule,
    micro: Schedule | undefined,
    evaluation: StepPlan["evaluation"],
    tuning: Tuning | null,
    frozen: Weights | undefined,
  ) {
    this.tuning = tuning;
    this.frozen = frozen;
    this.scaled = isHalf(config.dtype);
    this.device = device;
    this.config = config;
    this.layout = layout;
    this.examples = examples;
    this.stepData = stepData;
    this.tensors = tensors;
    this.schedule = schedule;
    this.micro = micro;
    this.evaluation = evaluation;
    this.windows = new Windows(device, CAPACITY, 8, (encoder, first, steps, half) =>
      this.encode(encoder, first, steps, half * CAPACITY),
    );
  }

  /**
   * @param params flat, in the table's order without gaps
   * @param frozen of a model with adapters the other weights, in the same manner
   * @param tuning chooses the kernels of products; a rule does where it is null
   * @param preparation what else the run will do
   * @throws TensorTooLargeError before anything is allocated
   */
  static async create(
    device: Device,
    config: Config,
    dims: Dims,
    params: Float64Array | Float32Array,
    examples: Examples,
    tuning: Tuning | null = null,
    preparation: Preparation = {},
    frozen?: Weights,
  ): Promise<GpuTrainer> {
    const plan = planStep(device, config, dims, tuning?.product);
    const { layout, table, groups, list, micro, evaluation } = plan;
    const read = dims.adapters ? frozenLayouts(dims).all : layout;
    const { validates, writes } = preparation;
    checkTensors(device, [
      ...(dims.adapters ? boundAtOnce(device, config, dims) : layout.slices),
      ...table,
    ]);
    if (dims.adapters && writes) checkWriting(device, read);
    const planned = placeholders(table);
    await compile(device, list(planned), preparation, [
      ...(validates ? evaluation(planned) : []),
      ...(writes
        ? planTexts(device, mergedConfig(config), read, writingSizes(config)).dispatches
        : []),
    ]);
    const tensors: Record<string, Tensor> = await allocateTensors(device, table, groups);
    const stepData = new StepData(config.batch_size * dims.T, dims.V);
    const schedule = await Schedule.create(device, list(tensors));
    const before = micro(tensors);
    const values = new ParameterLayout(dims).convert(params, layout, new Float32Array(layout.size));
    writeParameters(device, tensors, values);
    if (frozen) await writeFrozen(device, dims, tensors, frozen);
    writeTurns(device, config, dims, tensors);
    writeTensor(device, tensors.scaler, Float32Array.of(isHalf(config.dtype) ? SCALE : 1, 0, 0));
    return new GpuTrainer(
      device,
      config,
      layout,
      examples,
      stepData,
      tensors,
      schedule,
      before.length > 0 ? await Schedule.create(device, before) : undefined,
      evaluation,
      tuning,
      frozen,
    );
  }

  get step(): number {
    return this.windows.step;
  }

  async *run(until: number, signal?: AbortSignal): AsyncGenerator<StepRecord> {
    while (this.confirmed.length > 0) yield this.confirmed.shift()!;
    for await (const window of this.windows.run(until, signal)) {
      this.take(window);
      while (this.confirmed.length > 0) yield this.confirmed.shift()!;
    }
  }

  /**
   * Submits some steps one by one, a micro-batch at a time, each with what it reads; the last one is left to be submitted.
   */
  private encode(last: GPUCommandEncoder, first: number, steps: number, slot: number) {
    const { gpu } = this.device;
    for (let k = 0; k < steps; k++) {
      const step = first + k;
      const { batches, ...scalars } = this.readStep(step);
      let micro = 0;
      let row = 0;
      for (const batch of batches) {
        this.stepData.pack(batch, { ...scalars, slot: slot + k, micro, row });
        micro++;
        row += batch.B;
        gpu.queue.writeBuffer(this.tensors.step.buffer, 0, this.stepData.bytes);
        const updates = micro === this.config.grad_accumulation;
        const encoder = updates && k === steps - 1 ? last : gpu.createCommandEncoder();
        (updates ? this.schedule : this.micro!).encode(encoder);
        if (encoder !== last) gpu.queue.submit([encoder.finish()]);
      }
      this.tokens += scalars.num_targets;
      this.submitted.push({ lr: scalars.lr, tokens: this.tokens });
    }
    return { buffer: this.tensors.records.buffer, offset: slot * 8 };
  }

  /** What a step (from 0) reads. */
  private readStep(step: number) {
    const { config, examples } = this;
    return {
      ...microBatchesAt(examples, step, config, config.block_size),
      lr: learningRate(config, step),
      muon_lr: config.muon_lr * scheduleFactor(config, step),
      ...biasCorrections(config, step),
      step: step + 1,
    };
  }

  private take({ first, steps, records }: StepWindow): void {
    this.submitted.splice(0, steps).forEach((step, k) => {
      const [loss, grad_norm] = records.subarray(2 * k, 2 * k + 2);
      const overflow = this.scaled && Number.isFinite(loss) && !Number.isFinite(grad_norm);
      this.skips = overflow ? this.skips + 1 : 0;
      const skipped = overflow && this.skips <= MOST_SKIPS;
      const record = { step: first + k + 1, loss, grad_norm, ...step };
      this.confirmed.push(skipped ? { ...record, skipped } : record);
    });
  }

  async evaluate(sequences: readonly Int32Array[], signal?: AbortSignal): Promise<number> {
    await this.settle();
    const { device, config, layout, tensors, evaluation } = this;
    this.evaluator ??= await GpuEvaluator.create(device, config, layout, tensors, evaluation);
    return this.evaluator.evaluate(sequences, signal);
  }

  /** Waits for the steps in flight: the evaluation's records take the place of theirs. */
  private async settle(): Promise<void> {
    for (const window of await this.windows.settle()) this.take(window);
  }

  async parameters() {
    await this.settle();
    const { step, layout } = this;
    return { step, layout, values: await readTensor(this.device, this.tensors.params) };
  }

  async state(): Promise<TrainerState> {
    await this.settle();
    const { device, layout, tensors, step, tokens, skips } = this;
    const flat = new ParameterLayout(layout.dims);
    const { from, to } = this.moments();
    const read = async (tensor: Tensor | undefined, from: ParameterLayout, to: ParameterLayout) => {
      if (!tensor) return new Float32Array(0);
      const values = await readTensor(device, tensor);
      return from.convert(values, to, values).subarray(0, to.size); // only ever moved forward
    };
    // One after the other, for the memory that reading takes.
    const values = await read(tensors.params, layout, flat);
    const m = await read(tensors.m, from.m, to.m);
    const v = await read(tensors.v, from.v, to.v);
    const [scale, good, skipped] = await readTensor(device, tensors.scaler);
    return { step, tokens, layout: flat, values, m, v, scaler: [scale, good, skipped], skips };
  }

  restore({ step, tokens, values, m, v, scaler, skips }: TrainerState): void {
    const { device, layout, tensors } = this;
    const flat = new ParameterLayout(layout.dims);
    const { from, to } = this.moments();
    const write = (name: MomentName, part: TrainerState["values"]) => {
      const padded = to[name].convert(part, from[name], new Float32Array(from[name].size));
      if (tensors[name]) writeTensor(device, tensors[name], padded);
    };
    writeParameters(device, tensors, flat.convert(values, layout, new Float32Array(layout.size)));
    write("m", m);
    write("v", v);
    writeTensor(device, tensors.scaler, Float32Array.from(scaler));
    this.windows.startAt(step);
    this.tokens = tokens;
    this.skips = skips;
  }

  /** Where the moments lie on the device, and where in a state. */
  private moments() {
    const { config, layout } = this;
    const at = (align: number) => momentLayouts(config, layout.dims, align);
    return { from: at(PARAMETER_ALIGNMENT), to: at(1) };
  }

  /** The gradients of the last step, flat in the order of `layout`. */
  async gradients() {
    const { size } = this.layout;
    const plane = { name: "grads", shape: [size], offset: 0, size };
    const first = sliceTensor(this.tensors.grad_sums ?? this.tensors.grads, plane);
    return { layout: this.layout, values: await readTensor(this.device, first) };
  }

  async *decode(continuation: Continuation): AsyncGenerator<DecodedToken> {
    const step = this.frozen ? this.windows.submitted : 0;
    if (this.decoder?.step !== step) {
      this.forgetDecoder();
      this.decoder = { step, made: this.makeDecoder() };
    }
    yield* (await this.decoder.made).decode(continuation);
  }

  private async makeDecoder(): Promise<GpuDecoder> {
    const { device, config, layout, tensors, frozen } = this;
    if (!frozen) {
      return GpuDecoder.create(device, config, layout, tensors.params, writingSizes(config));
    }
    const { step: _, ...adapters } = await this.parameters();
    const values = mergeAdapters(config, layout.dims, frozen, adapters);
    const plain = mergedConfig(config);
    const sizes = writingSizes(plain);
    return GpuDecoder.fromValues(device, plain, frozenDims(layout.dims), values, sizes);
  }

  private forgetDecoder(): void {
    this.decoder?.made.then(
      (decoder) => decoder.destroy(),
      () => {},
    );
  }

  destroy(): void {
    this.forgetDecoder();
    this.evaluator?.destroy();
    this.schedule.destroy();
    this.micro?.destroy();
    this.windows.destroy();
    destroyTensors(this.tensors);
  }
}

/** The parameters, and where products read f16 the copy of them. */
function writeParameters(
  device: Device,
  { params, weights }: Record<string, Tensor>,
  values: Float32Array,
): void {
  writeTensor(device, params, values);
  if (weights) writeTensor(device, weights, values);
}
