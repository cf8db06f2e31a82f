// What goes beyond microgpt is trained by the general engines, the same on the CPU and on the GPU.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { Generator } from "../src/generation/from_model.ts";
import { isLikeMicrogpt } from "../src/model/engines.ts";
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

/** A run of 3 steps, and the same one broken off after the first and resumed: its losses, and texts of its model. */
async function runOn(device: "cpu" | "webgpu", config: Config) {
  const open = (resume?: Awaited<ReturnType<Training["checkpoint"]>>) =>
    Training.open({ config, documents, device, resume });
  const losses: number[] = [];
  const whole = await open();
  for await (const event of whole.run()) {
    if (event.type === "step") losses.push(event.loss);
    if (event.type === "eval") losses.push(event.val_loss);
  }
  const first = await open();
  let checkpoint = await first.checkpoint();
  for await (const event of first.run()) {
    if (event.type !== "step") continue;
    checkpoint = await first.checkpoint();
    break;
  }
  const rest: number[] = [];
  const second = await open(checkpoint);
  for await (const event of second.run()) if (event.type === "step") rest.push(event.loss);
  expect(rest.length).toBeGreaterThan(0); // a GPU may have been further than it told
  expect(rest).toEqual(losses.slice(3 - rest.length, 3));
  const model = await second.model();
  expect(model.values).toEqual((await whole.model()).values);
  return { losses, model };
}

test.each(beyond.map((overrides) => [JSON.stringify(overrides), overrides] as const))(
  "%s is trained, validated, resumed and read on the CPU and on the GPU, to the same losses",
  async (_, overrides) => {
    const config = configOf(overrides);
    const { losses, model } = await runOn("cpu", config);
    const gpu = await runOn("webgpu", config);
    expect(losses).toHaveLength(4); // three steps', and the validation's
    gpu.losses.forEach((loss, i) => expect(Math.abs(loss - losses[i])).toBeLessThan(1e-4));
    const texts = await Promise.all(
      (["cpu", "webgpu"] as const).map(async (device) => {
        const generator = await Generator.open(model, device);
        const sampling = { num_samples: 2, temperature: 1, seed: 3, max_tokens: 30 };
        const texts = [];
        for await (const { text } of generator.samples(sampling)) texts.push(text);
        return texts;
      }),
    );
    expect(texts[0]).toHaveLength(2);
    expect(texts[1]).toEqual(texts[0]);
  },
);
