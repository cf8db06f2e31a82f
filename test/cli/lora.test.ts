// `train --init-from … --lora-rank`: a folder of adapters in PEFT's format and the weights that they are beside, which is
// a model to all who open it, wherever it lies, and a run that goes on as if it had never stopped.

import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { main as generate } from "../../cli/generate.ts";
import { main as info } from "../../cli/info.ts";
import { main as train } from "../../cli/train.ts";
import { loadBest, loadCheckpoint, loadModel } from "../../src/files/model_dir.node.ts";
import { decodeSafetensors } from "../../src/files/safetensors.ts";
import { load, loadCheckpoint as loadRun, save, toBytes } from "../../src/index.ts";
import { qwen } from "../harness/shapes.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const names = ["anna", "bob", "carla", "dave", "emma", "frederic", "gus", "hannah", "ida", "jo"];

/** A folder with a text, and a model of it in `base`. */
async function started(): Promise<string> {
  const folder = temporaryFolder();
  const input = join(folder, "names.txt");
  writeFileSync(input, names.join("\n"));
  const shape = Object.entries({ ...qwen, n_embd: 8 }).map(([name, value]) =>
    value === false || value === true
      ? `--${value ? "" : "no-"}${name.replaceAll("_", "-")}`
      : `--${name.replaceAll("_", "-")}=${value}`,
  );
  const argv = ["--input", input, "--output", join(folder, "base"), "--device", "cpu", ...shape];
  const { code, stderr } = await runCli(train, [...argv, "--steps", "3", "--num-samples", "0"]);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return folder;
}

const settings = ["--lora-rank", "3", "--steps", "24", "--num-samples", "2", "--lr", "0.03"];
const told = ["--eval-every", "5", "--val-fraction", "0.2", "--log-every", "1"];

async function run(folder: string, output: string, more: string[], io = new FakeIo()) {
  const argv = ["--input", join(folder, "names.txt"), "--output", output, "--json", ...more];
  const { code, stdout, stderr } = await runCli(train, argv, {}, io);
  return { code, stderr, events: stdout === "" ? [] : parseLines(stdout) };
}

function stopping(step: number): FakeIo {
  const io = new FakeIo();
  io.stdout.onWrite = (text) => {
    if (text.includes(`"type":"step","step":${step},`)) io.emit("SIGINT");
  };
  return io;
}

const without = (events: Record<string, any>[]) =>
  events.filter(({ type }) => !/start|save|end/.test(type));
const contents = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), "base64")]),
  );

test.each(["cpu", "webgpu"])(
  "Ctrl-C, twice, and --resume: the same lines and the same files: %s",
  async (device) => {
    const folder = await started();
    const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
    const argv = [...settings, ...told, "--device", device];
    const from = ["--init-from", join(folder, "base")];
    const reference = await run(folder, whole, [...argv, ...from]);
    expect(reference.stderr).toBe("");
    const first = await run(folder, parts, [...argv, ...from], stopping(4));
    expect(first.code).toBe(130);
    rmSync(join(folder, "base"), { recursive: true }); // the folder has all that it needs
    const second = await run(folder, parts, [...argv, "--resume"], stopping(13));
    const third = await run(folder, parts, [...argv, "--resume"]);
    expect(third.events[0].differences).toEqual([]);
    const all = [first, second, third].flatMap(({ events }) => without(events));
    const samples = ({ type }: Record<string, any>) => type === "sample";
    expect(all.filter((event) => !samples(event))).toEqual(
      without(reference.events).filter((event) => !samples(event)),
    );
    expect(third.events.filter(samples)).toEqual(reference.events.filter(samples));
    const { "metrics.jsonl": _, ...files } = contents(parts);
    const { "metrics.jsonl": __, ...expected } = contents(whole);
    expect(files).toEqual(expected);
  },
);

test("the folder has PEFT's files, and is a model to all who open it, wherever it lies", async () => {
  const folder = await started();
  const base = loadModel(join(folder, "base"));
  const output = join(folder, "tuned");
  const argv = [
    ...settings,
    ...told,
    "--device",
    "cpu",
    "--lora-targets",
    "q,v,down",
    "--lora-alpha",
    "6",
  ];
  const { events } = await run(folder, output, [...argv, "--init-from", join(folder, "base")]);
  expect(events.find(({ type }) => type === "start")).toMatchObject({
    num_trained: 3 * (8 + 8) + 3 * (8 + 4) + 3 * (8 + 64),
  });
  expect(readdirSync(output).sort()).toEqual([
    "adapter_config.json",
    "adapter_model.safetensors",
    "base.safetensors",
    "best.safetensors",
    "config.json",
    "metrics.jsonl",
    "tokenizer.json",
    "training.safetensors",
  ]);
  const peft = JSON.parse(readFileSync(join(output, "adapter_config.json"), "utf8"));
  expect(peft).toMatchObject({
    peft_type: "LORA",
    r: 3,
    lora_alpha: 6,
    target_modules: ["q_proj", "v_proj", "down_proj"],
  });
  const { tensors } = decodeSafetensors(
    readFileSync(join(output, "adapter_model.safetensors")),
    "",
  );
  const shapes = Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]));
  const layer = "base_model.model.model.layers.0";
  expect(shapes).toEqual({
    [`${layer}.self_attn.q_proj.lora_A.weight`]: [3, 8],
    [`${layer}.self_attn.q_proj.lora_B.weight`]: [8, 3],
    [`${layer}.self_attn.v_proj.lora_A.weight`]: [3, 8],
    [`${layer}.self_attn.v_proj.lora_B.weight`]: [4, 3],
    [`${layer}.mlp.down_proj.lora_A.weight`]: [3, 64],
    [`${layer}.mlp.down_proj.lora_B.weight`]: [8, 3],
  });

  // Only the weights that have adapters are others: W + alpha / r · B · A, of what the file holds.
  const model = loadModel(output);
  expect(model).toMatchObject({ step: 24, config: { lora_rank: 0, n_embd: 8 } });
  const values = (name: string) => {
    const { data, shape } = tensors.find((tensor) => tensor.name === `${layer}.${name}.weight`)!;
    const floats = new Float32Array(Uint8Array.from(data).buffer);
    return { floats, shape };
  };
  const changed: Record<string, string> = {
    "layer0.attn_wq": "self_attn.q_proj",
    "layer0.attn_wv": "self_attn.v_proj",
    "layer0.mlp_fc2": "mlp.down_proj",
  };
  for (const { name, shape, offset, size } of model.layout.slices) {
    const expected = base.values.slice(offset, offset + size);
    if (name in changed) {
      const [A, B] = [values(`${changed[name]}.lora_A`), values(`${changed[name]}.lora_B`)];
      const [OC, IC = 1] = shape;
      for (let o = 0; o < OC; o++) {
        for (let c = 0; c < IC; c++) {
          let sum = 0;
          for (let r = 0; r < 3; r++) sum += 2 * B.floats[o * 3 + r] * A.floats[r * IC + c];
          expected[o * IC + c] += sum;
        }
      }
    }
    expect({ name, values: model.values.slice(offset, offset + size) }).toEqual({
      name,
      values: expected,
    });
  }

  expect(model.values).not.toEqual(base.values);

  // Moved, without what it was made of.
  const moved = join(folder, "moved");
  renameSync(output, moved);
  rmSync(join(folder, "base"), { recursive: true });
  const texts = await runCli(generate, [
    "--model-dir",
    moved,
    "--device",
    "cpu",
    "--num-samples",
    "1",
  ]);
  expect(texts).toMatchObject({ code: 0, stderr: "" });
  const shown = await runCli(info, ["--model-dir", moved]);
  expect(shown.stdout).toContain("base.safetensors");
  expect(loadBest(moved).config.lora_rank).toBe(0);
  const merged = join(folder, "merged");
  await save(await load(moved), merged);
  expect(loadModel(merged)).toEqual(model);

  // On a server, as a folder or by the adapters' file; the base is asked for beside it.
  const server = createServer(({ url }, response) => {
    const path = join(moved, basename(url!));
    const known = url!.startsWith("/tuned/") && existsSync(path);
    response.writeHead(known ? 200 : 404).end(known ? readFileSync(path) : "");
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const site = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const address of ["tuned", "tuned/", "tuned/adapter_model.safetensors"]) {
    expect((await load(`${site}/${address}`)).values).toEqual(model.values);
  }
  rmSync(join(moved, "base.safetensors"));
  await expect(load(`${site}/tuned`)).rejects.toThrow(
    `${site}/tuned/base.safetensors is missing: the weights that the adapters there`,
  );
});

test("files that are missing, or of two runs, are told of", async () => {
  const folder = await started();
  const output = join(folder, "tuned");
  const argv = [...settings, "--device", "cpu"];
  await run(folder, output, [...argv, "--init-from", join(folder, "base")]);
  const copy = (name: string) => {
    const to = join(folder, name);
    cpSync(output, to, { recursive: true });
    return to;
  };
  const lost = copy("lost");
  rmSync(join(lost, "base.safetensors"));
  expect(() => loadModel(lost)).toThrow(
    "base.safetensors is missing: the weights that the adapters",
  );
  expect(() => loadCheckpoint(lost)).toThrow("base.safetensors is missing");
  const other = copy("other");
  await run(folder, join(folder, "twice"), [...argv, "--init-from", output]);
  cpSync(join(folder, "twice/base.safetensors"), join(other, "base.safetensors"));
  expect(() => loadModel(other)).toThrow("the files are of two runs");
  expect(() => loadCheckpoint(other)).toThrow("the files are of two runs");
  const foreign = copy("foreign");
  writeFileSync(
    join(foreign, "adapter_model.safetensors"),
    readFileSync(join(output, "base.safetensors")),
  );
  expect(() => loadModel(foreign)).toThrow(/is of a run without adapters|lacks its/);
  const adapted = await loadRun(output);
  await expect(loadRun(toBytes(adapted))).rejects.toThrow("name the folder of both");
});

test("what lay in the folder is kept aside, and the other kind of model replaces all of it", async () => {
  const folder = await started();
  const base = join(folder, "base");
  await run(folder, base, [...settings, "--device", "cpu", "--init-from", base]); // in its own folder
  expect(existsSync(join(base, "model.safetensors"))).toBe(false);
  expect(loadModel(join(base, "earlier-1")).step).toBe(3);
  const adapted = await loadRun(base);
  const plain = loadModel(join(base, "earlier-1"));
  const one = join(folder, "one");
  await save(adapted, one);
  expect(loadModel(one)).toEqual(loadModel(base));
  expect(loadCheckpoint(one)).toEqual(adapted);
  await save(plain, one);
  expect(readdirSync(one).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
  await save(adapted, one);
  expect(loadModel(one).step).toBe(24);
  const again = await run(folder, base, ["--steps", "2", "--device", "cpu"]);
  expect(again.code).toBe(0);
  expect(readdirSync(base).filter((name) => /adapter|base/.test(name))).toEqual([]);
  expect(loadModel(join(base, "earlier-2")).step).toBe(24);
});

test("adapters without a model, or words that mean none, are refused", async () => {
  const folder = await started();
  const output = join(folder, "x");
  const none = await run(folder, output, ["--lora-rank", "4"]);
  expect(none.stderr).toMatch(/--lora-rank is 4, but .*name one there, or leave --lora-rank at 0/);
  const needs = await runCli(info, ["--lora-rank", "4"]);
  expect([needs.code, needs.stderr]).toEqual([none.code, none.stderr]);
  const from = ["--init-from", join(folder, "base")];
  const useless = await run(folder, output, ["--lora-alpha", "4", ...from]);
  expect(useless.stderr).toContain(
    "--lora-alpha is about adapters, and without --lora-rank there are none",
  );
  const wrong = await run(folder, output, [
    "--lora-rank",
    "4",
    "--lora-targets",
    "q,head",
    ...from,
  ]);
  expect(wrong.stderr).toContain(
    '"head" is no target; it must be some of q, k, v, o, gate, up, down',
  );
  expect(existsSync(output)).toBe(false);
});
