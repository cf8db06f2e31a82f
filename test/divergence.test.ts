// Runs that diverge: the number that is none is noticed with every optimizer, and told with its likely cause and the
// setting that helps.

import { afterEach, expect, test, vi } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { DivergedError } from "../src/errors.ts";
import { CpuTrainer } from "../src/training/cpu_trainer.ts";
import { Watch } from "../src/training/diverged.ts";
import { Training } from "../src/training/train.ts";
import { device } from "./harness/device.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** What is said of such losses, one after the other, the last of them with that gradient norm. */
function sentence(
  losses: readonly number[],
  overrides: Partial<Config> = {},
  grad_norm = 1,
): string {
  const watch = new Watch(resolveConfig("microgpt", overrides));
  try {
    losses.forEach((loss, i) => {
      const last = i === losses.length - 1;
      watch.check({ step: i + 1, loss, lr: 0.01, grad_norm: last ? grad_norm : 1, tokens: 1 });
    });
    return "";
  } catch (error) {
    if (error instanceof DivergedError) return error.message;
    throw error;
  }
}

const falling = [3, 2.9, 2.8, 2.7, 2.6, 2.5, 2.4, 2.3, 2.2, 2.1];
const rising = [...falling, 4, 9, 30, 200, 5000];

test("a loss that is none is named, and the gradient norm only where it is the cause", () => {
  expect(sentence([3, NaN], {}, NaN)).toMatch(
    /^Training diverged: at step 2 the loss is NaN, at a learning rate of 0\.01\. What was saved before is as it was\. /,
  );
  expect(sentence([3, 2], {}, Infinity)).toMatch(
    /: at step 2 the gradient norm is Infinity, where the loss is 2, at a learning rate of 0\.01\. /,
  );
  // As a float32 it is none, and could not be saved.
  expect(sentence([3, 1e39])).toContain("the loss is 1e+39");
  expect(sentence(rising)).toBe("");
});

test("before the first step the initial weights are the cause", () => {
  expect(sentence([NaN], { init_std: 30 })).toMatch(
    /No step was done before, .* the initial weights: lower init_std \(--init-std\) from 30\.$/,
  );
});

test("after few steps, or where the loss rose, it is the learning rate", () => {
  expect(sentence([3, NaN], { learning_rate: 10 })).toMatch(
    /After so few steps .* lower learning_rate \(--lr\) to 1, or let it rise over some warmup_steps \(--warmup-steps\), or set grad_clip \(--grad-clip\), such as 1\.$/,
  );
  expect(sentence([3, NaN], { warmup_steps: 9, grad_clip: 1 })).toMatch(
    /too high a learning rate: lower learning_rate \(--lr\) to 0\.001\.$/,
  );
  expect(sentence([...rising, Infinity])).toMatch(
    /The loss had risen from 2\.\d\d to [\d.e+]+, so the likely cause is too high a learning rate: lower/,
  );
});

test("each optimizer has its own rates", () => {
  const rates = (optimizer: Config["optimizer"]) =>
    /lower (.*?), or/.exec(sentence([3, NaN], { optimizer }))![1];
  expect(rates("adamw")).toBe("learning_rate (--lr) to 0.001");
  expect(rates("sgd")).toBe("learning_rate (--lr) to 0.001");
  expect(rates("muon")).toBe("muon_lr (--muon-lr) to 0.002 and learning_rate (--lr) to 0.001");
});

test("out of a falling loss it is a step of outlying data, against which there is clipping", () => {
  expect(sentence([...falling, NaN])).toMatch(
    /The loss was 2\.\d\d over the 8 steps before and had not risen, .* outlying data: set grad_clip \(--grad-clip\), such as 1, or lower learning_rate \(--lr\) to 0\.001\.$/,
  );
  expect(sentence([...falling, 2], { grad_clip: 5 }, NaN)).toMatch(
    /outlying data: lower grad_clip \(--grad-clip\) from 5, or learning_rate \(--lr\) to 0\.001\.$/,
  );
});

test("what f16 cannot hold gets the advice that helps: no clipping does", () => {
  for (const [loss, norm] of [
    [NaN, NaN],
    [2, NaN],
  ]) {
    const said = sentence([...falling, loss], { dtype: "f16" }, norm);
    expect(said).toMatch(
      /an overflow: f16 holds no number above 65,504\. Set dtype \(--dtype\) to f32,/,
    );
    expect(said).not.toContain("grad_clip");
  }
  // A step that was left out for it is none that diverged.
  const watch = new Watch(resolveConfig("microgpt", { dtype: "f16" }));
  watch.check({ step: 1, loss: 2, lr: 1, grad_norm: Infinity, tokens: 1, skipped: true });
});

const runs = (["cpu", "webgpu"] as const).flatMap((where) =>
  (["adamw", "muon", "sgd"] as const).map((optimizer) => [where, optimizer] as const),
);

test.each(runs)(
  "a rate that is far too high ends the run, and nothing of it can be saved: %s, %s",
  async (where, optimizer) => {
    const rates = { learning_rate: 1e38, muon_lr: 1e38, lr_schedule: "constant" as const };
    const shape = { n_embd: 8, n_head: 2, block_size: 4, num_samples: 0, val_fraction: 0.5 };
    const config = resolveConfig("microgpt", { optimizer, ...rates, ...shape, num_steps: 50 });
    const documents = ["anna", "bob", "carla", "dave"];
    const training = await Training.open({ config, documents, device: where });
    const run = async () => {
      for await (const { type } of training.run()) expect(type).not.toBe("eval");
    };
    await expect(run()).rejects.toThrow(DivergedError);
    expect(training.step).toBeLessThan(50);
    training.close();
  },
);

test.runIf(device.features.includes("shader-f16"))(
  "with dtype f16 weights beyond its largest number end the run too",
  async () => {
    const shape = { n_embd: 8, n_head: 2, block_size: 4, num_samples: 0 };
    const config = resolveConfig("microgpt", { dtype: "f16", learning_rate: 1e6, ...shape });
    const training = await Training.open({ config, documents: ["anna", "bob"], device: "webgpu" });
    const run = async () => {
      for await (const _ of training.run());
    };
    await expect(run()).rejects.toThrow(/f16 holds no number above 65,504/);
    training.close();
  },
);

test("a validation that finds no number is told with the cause too", async () => {
  vi.spyOn(CpuTrainer.prototype, "evaluate").mockResolvedValue(NaN);
  const config = resolveConfig("microgpt", { num_steps: 1, val_fraction: 0.5, n_embd: 4 });
  const training = await Training.open({ config, documents: ["a", "b"], device: "cpu" });
  const run = async () => {
    for await (const _ of training.run());
  };
  await expect(run()).rejects.toThrow(
    /after step 1 the validation loss is NaN\. What was .* likely cause is too high a learning rate/,
  );
});
