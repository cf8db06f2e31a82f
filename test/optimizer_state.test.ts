// What each optimizer keeps of which parameter, on the device and in a checkpoint.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { placeholders } from "../src/device/tensors.ts";
import { decodeCheckpoint, encodeCheckpoint } from "../src/files/checkpoint.ts";
import { decodeSafetensors } from "../src/files/safetensors.ts";
import { decayOf, elementRuns, momentLayouts, muonMatrices } from "../src/model/optimizer_state.ts";
import { dimsOf, ParameterLayout } from "../src/model/parameters.ts";
import { planStep } from "../src/model/step_plan.ts";
import { Training } from "../src/training/train.ts";
import { device } from "./harness/device.ts";

const config = resolveConfig("microgpt", { n_layer: 2, weight_decay: 0.1, batch_size: 4 });
const dims = dimsOf(config, 9);

test("without micro-batches AdamW takes no dispatch more than one for all parameters", () => {
  const plan = planStep(device, config, dims);
  const tensors = placeholders(plan.table);
  const list = plan.list(tensors).map(({ op }) => op);
  expect(list.filter((op) => op === "adamw")).toHaveLength(1);
  expect(list).not.toContain("accumulate");
  expect(list.slice(-3)).toEqual(["gradient_sum", "step_record", "adamw"]);
  expect(plan.micro(tensors)).toEqual([]);
});

test("decay is for matrices; what is trained alike and lies side by side is one piece", () => {
  expect(decayOf(config, { name: "layer0.attn_wq", shape: [4, 4] })).toBe(0.1);
  const gain = { name: "layer0.attn_norm", shape: [4] as const };
  expect(decayOf(config, gain)).toBe(0);
  const layout = new ParameterLayout(dims, 128);
  const runs = (optimizer: Config["optimizer"]) => {
    const config = { optimizer, weight_decay: 0.1 };
    return elementRuns(config, layout, momentLayouts(config, dims, 128));
  };
  const whole = { weight_decay: 0.1, offset: 0, second: 0, size: expect.any(Number) };
  expect(runs("adamw")).toEqual([{ ...whole, rule: "adamw" }]);
  expect(runs("sgd")).toEqual([{ ...whole, rule: "sgd" }]);
  expect(runs("adamw")[0].size).toBeGreaterThan(layout.size - 128);
  const { offset, size } = layout.slice("lm_head");
  expect(runs("muon")).toEqual([{ ...whole, rule: "adamw", size: offset + size }]);
});

test("q, k and v are three matrices, embeddings and head none, and only the rest has a second moment", () => {
  const config = resolveConfig("microgpt", { optimizer: "muon" });
  const dims = dimsOf(config, 27);
  const layout = new ParameterLayout(dims);
  const names = muonMatrices(config, layout).map(({ name }) => name.replace("layer0.", ""));
  expect(names).toEqual(["attn_wq", "attn_wk", "attn_wv", "attn_wo", "mlp_fc1", "mlp_fc2"]);
  const { m, v } = momentLayouts(config, dims);
  expect(m.slices).toEqual(layout.slices);
  expect(v.slices.map(({ name }) => name)).toEqual(["wte", "wpe", "lm_head"]);
  const sgd = momentLayouts({ optimizer: "sgd" }, dims);
  expect([sgd.m.size, sgd.v.size]).toEqual([layout.size, 0]);
});

function open(settings: Partial<Config>, resume?: Awaited<ReturnType<Training["checkpoint"]>>) {
  const config = resolveConfig("microgpt", settings);
  return Training.open({ config, documents: ["ab", "b", "ba"], device: "cpu", resume });
}

test.each([
  ["adamw", { m: 9, v: 9 }],
  ["muon", { m: 9, v: 3 }], // of the embeddings and the head
  ["sgd", { m: 9, v: 0 }],
] as const)(
  "a checkpoint of %s has its moments, and is for no other",
  async (optimizer, moments) => {
    const training = await open({ optimizer, num_steps: 2 });
    for await (const _ of training.run());
    const resume = await training.checkpoint();
    training.close();
    const { bytes } = encodeCheckpoint(resume);
    const names = decodeSafetensors(bytes, "here", ["F64"]).tensors.map(({ name }) => name);
    const count = (prefix: string) => names.filter((name) => name.startsWith(prefix)).length;
    expect({ m: count("m."), v: count("v.") }).toEqual(moments);
    expect(decodeCheckpoint(bytes, "here")).toEqual(resume);

    const other = optimizer === "sgd" ? "muon" : "sgd";
    await expect(open({ optimizer: other, num_steps: 4 }, resume)).rejects.toThrow(
      `optimizer is ${other}, but the run to resume has ${optimizer}; leave it out, or begin a new run.`,
    );
  },
);
