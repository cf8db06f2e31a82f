// How fast texts are continued: tokens a second with 1, 16 and 64 texts at a time, and against reading the whole context
// anew for each token.
//
//   node test/bench/decode.ts [--preset small] [--block-size 256] [--tokens 32] [--dtype f16] [--json]
//
// The texts have half the context behind them; decoding alone is told, and writing with the prompts' reading. Rounds of both
// ways take turns; medians are told.

import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { resolveConfig } from "../../src/config.ts";
import { openDevice } from "../../src/device/device.ts";
import { median } from "../../src/device/timing.ts";
import { GpuDecoder } from "../../src/generation/gpu_decoder.ts";
import type { TextEngine } from "../../src/generation/gpu/engine.ts";
import { dimsOf, initialParameters } from "../../src/model/parameters.ts";
import { PythonRandom } from "../../src/random.ts";
import { continuationOf } from "../harness/decode.ts";
import { recomputer } from "./recompute.ts";

const { values: flags } = parseArgs({
  options: {
    preset: { type: "string", default: "small" },
    "block-size": { type: "string", default: "256" },
    tokens: { type: "string", default: "32" },
    rounds: { type: "string", default: "3" },
    batches: { type: "string", default: "1,16,64" },
    dtype: { type: "string", default: "f32" },
    json: { type: "boolean", default: false }, // a line for each batch, as decode_peers.ts wants it
  },
});
const V = 65;
const block_size = Number(flags["block-size"]);
const max_tokens = Number(flags.tokens);
const rounds = Number(flags.rounds);
const config = resolveConfig(flags.preset as "small", { block_size });
const dims = dimsOf(config, V);
const params = initialParameters(config, dims, new PythonRandom(1));
const device = await openDevice();
const dtype = flags.dtype as "f32" | "f16";

/** Of half a context, as long as the tokens fit behind it. */
const prompt = (i: number) =>
  Array.from(
    { length: Math.min(block_size >> 1, block_size - max_tokens) },
    (_, t) => (t * t + i) % V,
  );

async function write(decoder: GpuDecoder, index: number): Promise<void> {
  const random = new PythonRandom(index);
  const text = continuationOf(prompt(index), { random, max_tokens });
  for await (const _ of decoder.decode(text));
}

const per = (tokens: number, start: number) => (1000 * tokens) / (performance.now() - start);

async function written(decoder: GpuDecoder, batch: number): Promise<number> {
  const start = performance.now();
  await Promise.all(Array.from({ length: batch }, (_, i) => write(decoder, i)));
  return per(batch * max_tokens, start);
}

/** Tokens a second once the prompts are read: some in one submit, as the decoder takes them. */
async function decoded(engine: TextEngine, batch: number): Promise<number> {
  const steps = Math.min(8, max_tokens);
  const submits = Math.floor(max_tokens / steps);
  const start = performance.now();
  for (let submit = 0; submit < submits; submit++) {
    const tops = Array.from({ length: batch }, (_, slot) => ({
      slot,
      position: prompt(0).length + submit * steps,
      id: slot % V,
      logits: false,
      numbers: Array.from({ length: steps }, (_, i) => ((i + 1) * (slot + 1) * 0.37) % 1),
    }));
    await engine.step([], tops);
  }
  return per(batch * submits * steps, start);
}

const old = await recomputer(device, config, dims, params);
async function recomputed(): Promise<number> {
  const tokens = prompt(0);
  const start = performance.now();
  const some = Math.min(max_tokens, 4);
  for (let i = 0; i < some; i++) {
    const logits = await old.nextLogits(tokens);
    tokens.push(logits.indexOf(Math.max(...logits)));
  }
  return per(some, start);
}

const load = () =>
  `load ${loadavg()
    .map((x) => x.toFixed(1))
    .join(" ")} on ${cpus().length} cores`;
const told = flags.json ? console.error : console.log;
told(
  `${device.name}, ${flags.preset} with block_size ${block_size}, ${max_tokens} tokens a text; ${load()}`,
);
await recomputed();
for (const batch of flags.batches.split(",").map(Number)) {
  const decoder = await GpuDecoder.fromValues(device, config, dims, params, {
    num_slots: batch,
    dtype,
  });
  const { engine } = decoder as unknown as { engine: TextEngine };
  await written(decoder, batch); // compiles
  await decoded(engine, batch);
  const times = { decoded: [] as number[], written: [] as number[], recomputed: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    times.recomputed.push(await recomputed());
    times.decoded.push(await decoded(engine, batch));
    times.written.push(await written(decoder, batch));
  }
  decoder.destroy();
  const [before, now, all] = [times.recomputed, times.decoded, times.written].map(median);
  if (flags.json) {
    const mode = `WebGPU, ${dtype}`;
    const line = { peer: "microgpt-webgpu", mode, batch, decoded: now, written: all };
    console.log(JSON.stringify({ ...line, recomputed: before, adapter: device.name }));
  }
  told(
    `batch ${batch} (${decoder.num_slots} slots, ${dtype}): decoding ${now.toFixed(1)} tokens/s, recomputing the context ` +
      `${before.toFixed(1)}: ${(now / before).toFixed(1)} times as fast; with prompts of half a context ${all.toFixed(1)} tokens/s`,
  );
}
told(load());
old.destroy();
device.destroy();
