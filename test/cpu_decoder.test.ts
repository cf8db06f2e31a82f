// Decoding on the CPU: keys and values that are kept give the logits of the whole context read anew, bit for bit.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { CpuDecoder } from "../src/generation/cpu_decoder.ts";
import type { Continuation } from "../src/generation/decoder.ts";
import { Places } from "../src/generation/places.ts";
import { windowOf } from "../src/generation/window.ts";
import { dimsOf, initialParameters } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { ReferenceGpt } from "../src/reference/gpt.ts";

const V = 13;

const llama: Partial<Config> = {
  n_head: 4,
  n_kv_head: 2,
  head_dim: 6,
  activation: "swiglu",
  position: "rope",
  qk_norm: true,
  norm_gain: true,
  final_norm: true,
  logit_softcap: 5,
};
const shapes: [string, Partial<Config>][] = [
  ["microgpt's", {}],
  ["gelu, tied", { activation: "gelu", tie_embeddings: true, n_head: 3 }],
  ["rope, grouped queries", llama],
];

function setUp(overrides: Partial<Config>) {
  const base = { n_layer: 2, n_embd: 12, n_head: 3, block_size: 9, init_std: 0.5 };
  const config = resolveConfig("microgpt", { ...base, ...overrides });
  const dims = dimsOf(config, V);
  const params = initialParameters(config, dims, new PythonRandom(3));
  const gpt = new ReferenceGpt(config, dims, params);
  /** Logits after the last of the tokens, all of them read at once. */
  const whole = (tokens: readonly number[]) => {
    const batch = { B: 1, T: tokens.length, inputs: Int32Array.from(tokens) };
    return Array.from(gpt.forward(batch).subarray(-V));
  };
  return { decoder: new CpuDecoder(config, dims, params), whole, T: dims.T };
}

const text = (length: number) => Array.from({ length }, (_, i) => (i * i + 3) % V);

const continuation = (tokens: readonly number[], more: Partial<Continuation>): Continuation => ({
  tokens,
  temperature: 1,
  never: [],
  seen: [],
  ends: [],
  max_tokens: 5,
  keeps_first: true,
  random: new PythonRandom(4),
  logits: true,
  ...more,
});

/** Tokens that come, and the logits that each was drawn by. */
async function decoded(
  decoder: CpuDecoder,
  tokens: readonly number[],
  more: Partial<Continuation> = {},
) {
  const found: { id: number; logits: number[] }[] = [];
  for await (const { id, logits } of decoder.decode(continuation(tokens, more))) {
    found.push({ id, logits: Array.from(logits!) });
  }
  return found;
}

test.each(shapes)("within the context: %s", async (_, overrides) => {
  const { decoder, whole, T } = setUp({ ...overrides, block_size: 70 });
  for (const length of [1, 2, 8, 66]) {
    const tokens = text(length);
    const found = await decoded(decoder, tokens, { max_tokens: Math.min(12, T + 1 - length) });
    for (const { id, logits } of found) {
      expect(logits).toEqual(whole(tokens));
      tokens.push(id);
    }
  }
});

test.each([true, false])("learned positions are read anew (keeps_first: %s)", async (first) => {
  for (const block_size of [1, 2, 9]) {
    const { decoder, whole } = setUp({ block_size });
    const tokens = text(15);
    for (const { id, logits } of await decoded(decoder, tokens, {
      max_tokens: 12,
      keeps_first: first,
    })) {
      expect(logits).toEqual(whole(windowOf(tokens, { block_size, keeps_first: first })));
      tokens.push(id);
    }
  }
});

/** Furthest difference between the logits of a text that slides and those of its window alone. */
async function slid(overrides: Partial<Config>, keeps_first: boolean, length: number) {
  const { decoder, whole, T: block_size } = setUp({ ...llama, ...overrides });
  const tokens = text(length);
  let furthest = 0;
  const found = await decoded(decoder, tokens, { max_tokens: 20, keeps_first });
  for (const { id, logits } of found) {
    const window = whole(windowOf(tokens, { block_size, keeps_first }));
    furthest = Math.max(furthest, ...window.map((x, i) => Math.abs(x - logits[i])));
    tokens.push(id);
  }
  expect(found).toHaveLength(20);
  return furthest;
}

test.each([true, false])("keys that turn slide as they are (keeps_first: %s)", async (first) => {
  for (const block_size of [1, 2, 5, 9]) {
    // A first layer's keys and values know of no other token, so that it makes no difference there…
    expect(await slid({ n_layer: 1, block_size }, first, 3)).toBeLessThan(1e-12);
  }
  // …but in a second one they remember what has left the context,
  expect(await slid({ n_layer: 2 }, first, 3)).toBeGreaterThan(1e-3);
  // unless there was none: a prompt that is too long begins as its window.
  const { decoder, whole } = setUp(llama);
  const [{ logits }] = await decoded(decoder, text(20), { max_tokens: 1, keeps_first: first });
  expect(logits).toEqual(whole(windowOf(text(20), { block_size: 9, keeps_first: first })));
});

test("texts are the same whatever else is decoded, and take turns", async () => {
  const { decoder } = setUp({ block_size: 32 });
  const prompts = Array.from({ length: decoder.num_slots + 3 }, (_, i) => text(1 + i));
  const alone = [];
  for (const tokens of prompts) alone.push(await decoded(decoder, tokens, { max_tokens: 9 }));
  const counts = prompts.map(() => 0);
  const lead: number[] = [];
  const together = await Promise.all(
    prompts.map(async (tokens, i) => {
      const found = [];
      for await (const { id, logits } of decoder.decode(continuation(tokens, { max_tokens: 9 }))) {
        found.push({ id, logits: Array.from(logits!) });
        counts[i]++;
        const first = counts.slice(0, decoder.num_slots);
        lead.push(Math.max(...first) - Math.min(...first));
      }
      return found;
    }),
  );
  expect(together).toEqual(alone);
  expect(Math.max(...lead)).toBeLessThanOrEqual(1);
});

test("a text that is returned gives its place free, and one that is aborted no longer waits", async () => {
  const { decoder } = setUp({});
  const open = Array.from({ length: decoder.num_slots }, () =>
    decoder.decode(continuation([1], {})),
  );
  for (const tokens of open) await tokens.next();
  const stop = new AbortController();
  const [aborted, waiting] = [stop.signal, undefined].map((signal) =>
    decoder.decode(continuation([2], { signal })).next(),
  );
  stop.abort();
  expect(await aborted).toEqual({ done: true, value: undefined });
  let begun = false;
  const first = waiting.then(() => (begun = true));
  await open[3].next();
  expect(begun).toBe(false);
  await open[3].return(undefined);
  await first;
  expect(begun).toBe(true);
});

test("places are given in order, and never more of them than there are", async () => {
  const places = new Places(2);
  const order: number[] = [];
  const take = (i: number, signal?: AbortSignal) => places.take(signal).then(() => order.push(i));
  const stop = new AbortController();
  await take(0);
  await take(1);
  const later = [take(2), take(3, stop.signal), take(4)];
  stop.abort();
  await expect(later[1]).rejects.toMatchObject({ name: "AbortError" });
  await expect(places.take(stop.signal)).rejects.toMatchObject({ name: "AbortError" });
  expect(order).toEqual([0, 1]);
  places.give();
  await later[0];
  expect(order).toEqual([0, 1, 2]);
  places.give();
  await later[2];
  places.give();
  await take(5);
  expect(order).toEqual([0, 1, 2, 4, 5]);
});
