// A run that is exported half-way goes on in PyTorch with the losses that it has here, and comes home. Skipped where no
// Python has PyTorch.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, expect, test } from "vitest";
import { type Config, resolveConfig } from "../../src/config.ts";
import { torchFiles } from "../../src/exchange/torch.node.ts";
import { loadCheckpoint, loadModel } from "../../src/files/model_dir.node.ts";
import { PythonRandom } from "../../src/random.ts";
import { corpusOf } from "../../src/text/read_corpus.ts";
import { orderText } from "../../src/training/order_text.ts";
import { settleText } from "../../src/training/settle_text.ts";
import { Training } from "../../src/training/train.ts";
import names from "../../src/text/names.txt?raw";
import { parseLines } from "../cli/fake_io.ts";
import { jsonLines } from "../harness/conversations.ts";

const hasTorch = "import importlib.util as u, sys; sys.exit(u.find_spec('torch') is None)";
const python = ["python3", "/usr/bin/python3"].find(
  (name) => spawnSync(name, ["-c", hasTorch]).status === 0,
);

const folder = mkdtempSync(join(tmpdir(), "microgpt-torch-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Steps before the export, and after it. */
const [BEFORE, AFTER] = [5, 20];

const sizes = { n_layer: 2, n_embd: 24, n_head: 4, block_size: 12, num_steps: BEFORE + AFTER };

interface Case {
  name: string;
  preset: string;
  input: string;
  settings: Partial<Config>;
  /** Processes. */
  processes?: number;
}

const cases: Case[] = [
  {
    name: "Qwen3's shape on names, AdamW, decayed and clipped, by two processes",
    preset: "qwen3-15m",
    input: names,
    settings: {
      format: "lines",
      n_kv_head: 2,
      head_dim: 10,
      mlp_hidden: 40,
      batch_size: 3,
      grad_accumulation: 3,
      learning_rate: 0.005,
      weight_decay: 0.1,
      grad_clip: 0.7,
      lr_schedule: "cosine",
      warmup_steps: 8,
      val_fraction: 0.002,
    },
    processes: 2,
  },
  {
    name: "nanochat's shape on windows of one text between blocks that are held out, Muon",
    preset: "nanochat-d6",
    input: names.slice(0, 6000),
    settings: { format: "text", val_split: "blocks", val_fraction: 0.1, batch_size: 4 },
  },
  {
    name: "microgpt's shape on conversations, SGD",
    preset: "microgpt",
    input: jsonLines,
    settings: {
      format: "chat",
      activation: "gelu",
      optimizer: "sgd",
      learning_rate: 0.1,
      block_size: 40,
      batch_size: 3,
      weight_decay: 0.1,
    },
  },
];

/** Runs train.py as torchrun starts its processes. @returns what the first of them says */
async function goOn(place: string, processes = 1) {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  const group = (rank: number) => ({
    RANK: String(rank),
    LOCAL_RANK: String(rank),
    WORLD_SIZE: String(processes),
    MASTER_ADDR: "127.0.0.1",
    MASTER_PORT: String(port),
  });
  const running = Array.from({ length: processes }, async (_, rank) => {
    const env = { ...process.env, OMP_NUM_THREADS: "1", ...(processes > 1 ? group(rank) : {}) };
    const child = spawn(python!, ["train.py", "--cpu"], { cwd: place, env });
    const said = Promise.all([text(child.stdout), text(child.stderr)]);
    const [status] = await once(child, "close");
    const [stdout, stderr] = await said;
    return { status, stdout, stderr };
  });
  return (await Promise.all(running))[0];
}

test("a run that trains something else than weights is refused with a sentence", async () => {
  const config = resolveConfig("microgpt", { num_steps: 1 });
  const training = await Training.open({ config, documents: ["ada", "bo"], device: "cpu" });
  const run = await training.checkpoint();
  training.close();
  const slices = [{ ...run.layout.slices[0], name: "layer0.attn_wq.lora_A" }];
  const layout = { ...run.layout, slices } as unknown as typeof run.layout;
  expect(() => torchFiles({ ...run, layout }, { train: [], validation: [] })).toThrow(
    "The run trains layer0.attn_wq.lora_A, and the script for PyTorch goes on with runs that train the weights",
  );
});

test.skipIf(!python).each(cases)("$name", async ({ name, preset, input, settings, processes }) => {
  const config = resolveConfig(preset, { tokenizer: "char", dropout: 0, ...sizes, ...settings });
  const training = await Training.open({ config, documents: input, device: "cpu" });
  const losses: number[] = [];
  const run = training.run();
  for (let step = 0; step < BEFORE; step++) await run.next();
  const exported = await training.checkpoint();
  const place = join(folder, name.slice(0, 4));
  mkdirSync(place);
  const corpus = corpusOf(input, exported.config);
  const settled = await settleText(corpus, [exported.config], { before: exported.tokenizer });
  const random = new PythonRandom(config.seed);
  const split = await orderText(corpus, exported.config, settled.tokens.text, random, {
    resume: exported,
  });
  for (const file of torchFiles(exported, split)) writeFileSync(join(place, file.name), file.bytes);

  for await (const event of run) {
    if (event.type === "step") losses.push(event.loss);
    if (event.type === "eval") losses.push(event.val_loss);
  }
  const { status, stdout, stderr } = await goOn(place, processes);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const told = parseLines(stdout);
  expect(told.filter((event) => "loss" in event)).toHaveLength(AFTER);
  expect(told).toHaveLength(losses.length);
  const off = told.map(({ loss, val_loss }, i) => Math.abs((loss ?? val_loss) - losses[i]));
  expect(Math.max(...off)).toBeLessThan(1e-4);

  // Home again.
  const here = await training.model();
  const there = loadModel(place);
  expect(there.step).toBe(config.num_steps);
  const moved = Float64Array.from(there.values, (x, i) => Math.abs(x - here.values[i]));
  expect(Math.max(...moved)).toBeLessThan(1e-3);
  const next = { ...config, num_steps: config.num_steps + 2, eval_every: 0 };
  const both = [await training.checkpoint(), loadCheckpoint(place)];
  training.close();
  const later = await Promise.all(
    both.map(async (resume) => {
      const more = await Training.open({ config: next, documents: input, device: "cpu", resume });
      const losses = [];
      for await (const { loss } of more.steps()) losses.push(loss);
      more.close();
      return losses;
    }),
  );
  expect(later[1]).toHaveLength(2);
  later[0].forEach((loss, i) => expect(later[1][i]).toBeCloseTo(loss, 3));
  if (config.format !== "chat") return; // once will do
  const again = await goOn(place);
  expect(again.stderr).toBe(
    `The run has done all its ${config.num_steps} steps. To train it further, give --steps more.\n`,
  );
});
