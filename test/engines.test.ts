// Which engine trains a model, and the sentence where that is not the one that was asked for.

import { describe, expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { Generator } from "../src/generation/from_model.ts";
import { isLikeMicrogpt, whyNotGpu } from "../src/model/engines.ts";
import { Sweep } from "../src/training/sweep.ts";
import { Training } from "../src/training/train.ts";

const documents = ["anna", "otto", "hannah", "bob"];
const base: Partial<Config> = { num_steps: 3, num_samples: 1, val_fraction: 0.25 };
const configOf = (overrides: Partial<Config>) =>
  resolveConfig("microgpt", { ...base, ...overrides });

/** Each goes beyond microgpt by one setting. */
const beyond: Partial<Config>[] = [
  { n_kv_head: 2 },
  { head_dim: 8 },
  { mlp_hidden: 24 },
  { activation: "gelu" },
  { activation: "swiglu" },
  { position: "rope" },
  { qk_norm: true },
  { norm_gain: true },
  { embedding_norm: false },
  { final_norm: true },
  { tie_embeddings: true },
  { logit_softcap: 15 },
  { dropout: 0.1 },
];

test("what goes beyond microgpt is for no small engine, and what only seems to is", () => {
  for (const overrides of beyond) expect(isLikeMicrogpt(configOf(overrides))).toBe(false);
  const same = [{ n_kv_head: 4, head_dim: 4, mlp_hidden: 64, rope_theta: 5 }, { n_layer: 3 }];
  for (const overrides of same) expect(isLikeMicrogpt(configOf(overrides))).toBe(true);
  expect(isLikeMicrogpt(configOf({ activation: "relu_squared", zero_init: true }))).toBe(true);
});

describe.each(beyond.map((overrides) => [JSON.stringify(overrides), overrides] as const))(
  "%s",
  (_, overrides) => {
    test("is trained, validated, resumed and read on the CPU", async () => {
      const config = configOf(overrides);
      const open = (resume?: Awaited<ReturnType<Training["checkpoint"]>>) =>
        Training.open({ config, documents, device: "cpu", resume });
      const losses: number[] = [];
      const whole = await open();
      for await (const event of whole.run()) if (event.type === "step") losses.push(event.loss);
      expect(losses).toHaveLength(3);
      const first = await open();
      let checkpoint = await first.checkpoint();
      for await (const event of first.run()) {
        if (event.type !== "step" || event.step < 2) continue;
        checkpoint = await first.checkpoint();
        break;
      }
      const rest: number[] = [];
      const second = await open(checkpoint);
      for await (const event of second.run()) if (event.type === "step") rest.push(event.loss);
      expect(rest).toEqual(losses.slice(2));
      const model = await second.model();
      expect(model.values).toEqual((await whole.model()).values);
      const generator = await Generator.open(model, "cpu");
      const texts = [];
      const sampling = { num_samples: 2, temperature: 1, seed: 3, max_tokens: 30 };
      for await (const { text } of generator.samples(sampling)) texts.push(text);
      expect(texts).toHaveLength(2);
    });
  },
);

const missing = beyond.filter((overrides) => whyNotGpu(configOf(overrides)) !== null);

test.runIf(missing.length > 0)(
  "auto takes the CPU for what no GPU can train, and says so; webgpu is refused",
  async () => {
    const [overrides] = missing;
    const config = configOf(overrides);
    const [[name, value]] = Object.entries(overrides);
    const why = `There are no GPU kernels yet for ${name} ${value}.`;
    const training = await Training.open({ config, documents, device: "auto" });
    expect(training.start).toMatchObject({ device: "cpu", fallback: why });
    const refusal = `${why} Choose the device auto or cpu, or leave them out.`;
    await expect(Training.open({ config, documents, device: "webgpu" })).rejects.toThrow(refusal);
    const configs = [configOf({}), config];
    await expect(Sweep.open({ configs, documents, device: "webgpu" })).rejects.toThrow(refusal);
    const model = await training.model();
    await expect(Generator.open(model, "webgpu")).rejects.toThrow(refusal);
    expect((await Generator.open(model, "auto")).fallback).toBe(why);
  },
);
