// The forward pass for one sequence on the GPU: logits of the next token. Recomputes the whole context.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { Schedule } from "../device/schedule.ts";
import { type Tensor, allocateTensors, destroyTensors } from "../device/tensors.ts";
import { activationTable, forwardList } from "../model/gpu_gpt.ts";
import { GpuOps } from "../model/gpu_ops.ts";
import type { ParameterLayout } from "../model/parameters.ts";

export class GpuPredictor {
  private readonly device: Device;
  private readonly layout: ParameterLayout;
  private readonly tensors: Record<string, Tensor>;
  private readonly schedule: Schedule;

  private constructor(
    device: Device,
    layout: ParameterLayout,
    tensors: Record<string, Tensor>,
    schedule: Schedule,
  ) {
    this.device = device;
    this.layout = layout;
    this.tensors = tensors;
    this.schedule = schedule;
  }

  /** @param params flat in the layout's order; read in place, so it follows a training run */
  static async create(
    device: Device,
    config: Pick<Config, "activation" | "rmsnorm_eps">,
    layout: ParameterLayout,
    params: Tensor,
  ): Promise<GpuPredictor> {
    const { dims } = layout;
    const tensors: Record<string, Tensor> = await allocateTensors(device, [
      { name: "ids", shape: [dims.T] },
      ...activationTable(dims, 1),
    ]);
    const gpt = { ops: new GpuOps(device), config, dims, B: 1, layout, tensors, params };
    const schedule = await Schedule.create(device, forwardList(gpt, tensors.ids));
    return new GpuPredictor(device, layout, tensors, schedule);
  }

  /** Logits (V) of the token after `tokens` (1 to block_size ids). */
  async nextLogits(tokens: readonly number[]): Promise<Float32Array> {
    const { gpu } = this.device;
    const { T, V } = this.layout.dims;
    const ids = new Int32Array(T); // positions after the last are not looked at: attention is causal
    ids.set(tokens);
    gpu.queue.writeBuffer(this.tensors.ids.buffer, 0, ids);
    const encoder = gpu.createCommandEncoder();
    this.schedule.encode(encoder);
    gpu.queue.submit([encoder.finish()]);
    const row = (tokens.length - 1) * V * 4;
    return new Float32Array(await this.device.read(this.tensors.logits.buffer, row, V * 4));
  }

  destroy(): void {
    this.schedule.destroy();
    destroyTensors(this.tensors);
  }
}
