// The sentence for a run that diverges: which number is none, and what helps against it.

import { expect, test, vi } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { CpuTrainer } from "../src/training/cpu_trainer.ts";
import { GpuTrainer } from "../src/training/gpu_trainer.ts";
import { Training } from "../src/training/train.ts";
import { device } from "./harness/device.ts";

/** What is said of a step with such numbers. */
async function sentence(
  trainer: typeof CpuTrainer | typeof GpuTrainer,
  overrides: Partial<Config>,
  numbers: { loss: number; grad_norm: number },
): Promise<string> {
  const config = resolveConfig("microgpt", overrides);
  const where = trainer === CpuTrainer ? "cpu" : "webgpu";
  const training = await Training.open({ config, documents: ["anna"], device: where });
  const spy = vi.spyOn(trainer.prototype, "run").mockImplementation(async function* () {
    yield { step: 7, lr: 0.01, tokens: 1, ...numbers };
  });
  try {
    for await (const _ of training.run());
    return "";
  } catch (error) {
    return (error as Error).message;
  } finally {
    spy.mockRestore();
    training.close();
  }
}

test("a loss that is none is named, and the gradient norm only where it is the cause", async () => {
  expect(await sentence(CpuTrainer, {}, { loss: NaN, grad_norm: NaN })).toBe(
    "Training diverged: at step 7 the loss is NaN, at a learning rate of 0.01. What was saved before is as it was. " +
      "Lower the learning rate or set a grad_clip, such as 1.",
  );
  expect(await sentence(CpuTrainer, {}, { loss: 0, grad_norm: Infinity })).toMatch(
    /: at step 7 the gradient norm is Infinity, where the loss is 0, at .* set a grad_clip, such as 1\.$/,
  );
});

test.runIf(device.features.includes("shader-f16"))(
  "gradients that f16 cannot hold at any scale get the advice that helps: no clipping does",
  async () => {
    const said = await sentence(GpuTrainer, { dtype: "f16" }, { loss: 2, grad_norm: NaN });
    expect(said).toMatch(
      /the gradient norm is NaN, .* in f16 its gradients overflow at every scale/,
    );
    expect(said).toMatch(
      /Train with dtype f32, lower the learning rate or choose a smaller init_std\.$/,
    );
    expect(said).not.toContain("grad_clip");
  },
);
