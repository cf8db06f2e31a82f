// Decoding as it was before keys and values stayed on the GPU: every token reads its whole context anew. For comparison.

import type { Device } from "../../src/device/device.ts";
import { Schedule } from "../../src/device/schedule.ts";
import {
  allocateTensors,
  destroyTensors,
  type Tensor,
  writeTensor,
} from "../../src/device/tensors.ts";
import type { ForwardConfig } from "../../src/model/forward_config.ts";
import { type Dims, PARAMETER_ALIGNMENT, ParameterLayout } from "../../src/model/parameters.ts";
import { writeTurns } from "../../src/model/turns.ts";
import { planForward } from "./forward_plan.ts";

export async function recomputer(
  device: Device,
  config: ForwardConfig,
  dims: Dims,
  values: Float64Array,
) {
  const layout = new ParameterLayout(dims, PARAMETER_ALIGNMENT);
  const { table, groups, rows, lists } = planForward(device, config, layout);
  const params = { name: "params", shape: [layout.size], sliced: true };
  const tensors: Record<string, Tensor> = await allocateTensors(device, [...table, params], groups);
  writeTurns(device, config, dims, tensors);
  const flat = new ParameterLayout(dims);
  writeTensor(device, tensors.params, flat.convert(values, layout, new Float32Array(layout.size)));
  const schedules = await Promise.all(lists(tensors).map((list) => Schedule.create(device, list)));
  return {
    /** Logits (V) of the token after `tokens`, 1 to block_size ids. */
    async nextLogits(tokens: readonly number[]): Promise<Float32Array> {
      const { T, V } = dims;
      const ids = new Int32Array(T); // positions after the last are not looked at: attention is causal
      ids.set(tokens);
      device.gpu.queue.writeBuffer(tensors.ids.buffer, 0, ids);
      const encoder = device.gpu.createCommandEncoder();
      const last = tokens.length - 1;
      schedules[Math.floor(last / rows)].encode(encoder);
      device.gpu.queue.submit([encoder.finish()]);
      return new Float32Array(
        await device.read(tensors.logits.buffer, (last % rows) * V * 4, V * 4),
      );
    },
    destroy() {
      for (const schedule of schedules) schedule.destroy();
      destroyTensors(tensors);
    },
  };
}
