// The golden models with modern options on the GPU: an independent oracle's logits, losses, gradients and parameters,
// in Node and in the browser.

import { expect, test } from "vitest";
import { Schedule } from "../../src/device/schedule.ts";
import {
  allocateTensors,
  destroyTensors,
  readTensor,
  writeTensor,
} from "../../src/device/tensors.ts";
import { GpuDecoder } from "../../src/generation/gpu_decoder.ts";
import { biasCorrections, learningRate } from "../../src/model/optimizer.ts";
import { StepData } from "../../src/model/step_data.ts";
import { planStep } from "../../src/model/step_plan.ts";
import { writeTurns } from "../../src/model/turns.ts";
import { device } from "../harness/device.ts";
import { error, flatten, modern } from "../harness/modern.ts";

type Model = (typeof modern)[number];

/** Steps on the model's batch, over and over; with the gradients of the first, flat as the oracle's. */
async function train({ config, dims, layout, batch, parameters }: Model, steps: number) {
  const plan = planStep(device, config, dims);
  const tensors = await allocateTensors(device, plan.table, plan.groups);
  const schedule = await Schedule.create(device, plan.list(tensors));
  const padded = new Float32Array(plan.layout.size);
  writeTensor(device, tensors.params, layout.convert(parameters(), plan.layout, padded));
  writeTensor(device, tensors.scaler, Float32Array.of(1, 0, 0));
  writeTurns(device, config, dims, tensors);
  const data = new StepData(batch.B * batch.T, dims.V);
  const flat = (values: Float32Array) =>
    plan.layout.convert(values, layout, new Float32Array(layout.size));
  let gradients = new Float32Array(0);
  for (let step = 0; step < steps; step++) {
    const rates = { lr: learningRate(config, step), muon_lr: config.muon_lr };
    data.pack(batch, { slot: step, step: step + 1, ...rates, ...biasCorrections(config, step) });
    device.gpu.queue.writeBuffer(tensors.step.buffer, 0, data.bytes);
    const encoder = device.gpu.createCommandEncoder();
    schedule.encode(encoder);
    device.gpu.queue.submit([encoder.finish()]);
    if (step > 0) continue;
    const planes = await readTensor(device, tensors.grads);
    gradients = flat(planes.map((_, i) => sumOf(planes, i, plan.layout.size)));
  }
  const records = await readTensor(device, tensors.records);
  const losses = Array.from({ length: steps }, (_, step) => records[2 * step]);
  const final = flat(await readTensor(device, tensors.params));
  schedule.destroy();
  destroyTensors(tensors);
  return { gradients, losses, final };
}

/** Of a number in all planes. */
function sumOf(planes: Float32Array, i: number, size: number): number {
  let sum = 0;
  for (let at = i; at < planes.length; at += size) sum += planes[at];
  return sum;
}

test.each(modern)(
  "gradients, losses of 8 steps and the parameters after them are the oracle's: $name",
  async (model) => {
    const { layout, trace } = model;
    const { gradients, losses, final } = await train(model, trace.losses.length);
    const expected = trace.gradients as unknown as Record<string, number[]>;
    const oracle = flatten(layout, trace.final);
    const largest = Math.max(...oracle.map(Math.abs));
    for (const { name, offset, size } of layout.slices) {
      const off = error(gradients.subarray(offset, offset + size), expected[name]);
      expect({ name, off }).toSatisfy(({ off }) => off < 1e-5);
      const steepest = Math.max(...expected[name].map(Math.abs));
      expected[name].forEach((gradient, i) => {
        // Adam's steps are as long whatever the gradient: of one that is lost in the others' rounding, by chance.
        const allowed = Math.abs(gradient) < 1e-5 * steepest ? 1e-3 : 1e-5;
        const difference = Math.abs(final[offset + i] - oracle[offset + i]) / largest;
        expect({ name, i, difference }).toSatisfy(() => difference < allowed);
      });
    }
    expect(error(losses, trace.losses)).toBeLessThan(1e-5);
  },
);

test.each(modern)(
  "logits are the oracle's: $name",
  async ({ config, dims, batch, trace, ...model }) => {
    const decoder = await GpuDecoder.fromValues(device, config, dims, model.parameters());
    const logits: number[] = [];
    const tokens = [...batch.inputs.subarray(0, batch.T)];
    for await (const row of decoder.score(tokens)) logits.push(...row);
    decoder.destroy();
    expect(error(logits, trace.logits_first_row)).toBeLessThan(1e-5);
  },
);
