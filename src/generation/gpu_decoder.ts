// Decodes on the GPU. Recomputes the whole context.

import type { Device } from "../device/device.ts";
import { compile, type Preparation } from "../device/prepare.ts";
import { Schedule } from "../device/schedule.ts";
import { tryMatrices } from "../device/trial.ts";
import { type Tensor, allocateTensors, destroyTensors, writeTensor } from "../device/tensors.ts";
import type { ForwardConfig } from "../model/forward_config.ts";
import { planForward } from "../model/forward_plan.ts";
import { type Dims, PARAMETER_ALIGNMENT, ParameterLayout } from "../model/parameters.ts";
import { writeTurns } from "../model/turns.ts";
import { decodeByLogits } from "./decode_by_logits.ts";
import type { Continuation, DecodedToken, Decoder } from "./decoder.ts";
import { windowOf } from "./window.ts";

export class GpuDecoder implements Decoder {
  readonly num_slots = 1;
  private readonly device: Device;
  private readonly layout: ParameterLayout;
  private readonly tensors: Record<string, Tensor>;
  /** Positions whose logits there are at a time, and for each such chunk what makes them. */
  private readonly rows: number;
  private readonly schedules: readonly Schedule[];

  private constructor(
    device: Device,
    layout: ParameterLayout,
    tensors: Record<string, Tensor>,
    rows: number,
    schedules: readonly Schedule[],
  ) {
    this.device = device;
    this.layout = layout;
    this.tensors = tensors;
    this.rows = rows;
    this.schedules = schedules;
  }

  /** A decoder with weights of its own, given flat in the table's order without gaps. */
  static async fromValues(
    device: Device,
    config: ForwardConfig,
    dims: Dims,
    values: Float32Array | Float64Array,
    progress?: Preparation["progress"],
  ): Promise<GpuDecoder> {
    const layout = new ParameterLayout(dims, PARAMETER_ALIGNMENT);
    const dispatches = () => planForward(device, config, layout).dispatches;
    await tryMatrices(device, dispatches);
    await compile(device, dispatches(), { progress });
    const shape = [layout.size];
    const { params } = await allocateTensors(device, [{ name: "params", shape, sliced: true }]);
    const flat = new ParameterLayout(dims);
    writeTensor(device, params, flat.convert(values, layout, new Float32Array(layout.size)));
    const decoder = await GpuDecoder.create(device, config, layout, params);
    decoder.tensors.params = params; // its own, to be freed with the rest
    return decoder;
  }

  /** @param params flat in the layout's order; read in place, so it follows a training run */
  static async create(
    device: Device,
    config: ForwardConfig,
    layout: ParameterLayout,
    params: Tensor,
  ): Promise<GpuDecoder> {
    const { table, groups, rows, lists } = planForward(device, config, layout);
    const tensors: Record<string, Tensor> = await allocateTensors(device, table, groups);
    writeTurns(device, config, layout.dims, tensors);
    const schedules = await Promise.all(
      lists({ ...tensors, params }).map((list) => Schedule.create(device, list)),
    );
    return new GpuDecoder(device, layout, tensors, rows, schedules);
  }

  decode(continuation: Continuation): AsyncGenerator<DecodedToken> {
    const { keeps_first } = continuation;
    const context = { block_size: this.layout.dims.T, keeps_first };
    return decodeByLogits((tokens) => this.nextLogits(windowOf(tokens, context)), continuation);
  }

  async *score(tokens: readonly number[], signal?: AbortSignal): AsyncGenerator<Float32Array> {
    for (let t = 0; t < tokens.length && !signal?.aborted; t++) {
      const logits = await this.nextLogits(tokens.slice(0, t + 1));
      if (!signal?.aborted) yield logits;
    }
  }

  /** Logits (V) of the token after `tokens` (1 to block_size ids). */
  async nextLogits(tokens: readonly number[]): Promise<Float32Array> {
    const { device, rows, schedules } = this;
    const { gpu } = device;
    const { T, V } = this.layout.dims;
    const ids = new Int32Array(T); // positions after the last are not looked at: attention is causal
    ids.set(tokens);
    gpu.queue.writeBuffer(this.tensors.ids.buffer, 0, ids);
    const encoder = gpu.createCommandEncoder();
    const last = tokens.length - 1;
    schedules[Math.floor(last / rows)].encode(encoder);
    gpu.queue.submit([encoder.finish()]);
    const row = (last % rows) * V * 4;
    return new Float32Array(await device.read(this.tensors.logits.buffer, row, V * 4));
  }

  destroy(): void {
    for (const schedule of this.schedules) schedule.destroy();
    destroyTensors(this.tensors);
  }
}
