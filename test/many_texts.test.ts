// Many texts of one request: at the same time, told in order, and each as it would be alone.

import { describe, expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { CpuDecoder } from "../src/generation/cpu_decoder.ts";
import { Generator, type SamplingOptions } from "../src/generation/from_model.ts";
import { randomsOf, write } from "../src/generation/generate.ts";
import { inOrder } from "../src/generation/in_order.ts";
import type { Model } from "../src/files/model_files.ts";
import { dimsOf, initialParameters, ParameterLayout } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import { initialConfig } from "../src/training/init_from.ts";
import { Training } from "../src/training/train.ts";

const tokenizer = new CharTokenizer([..."abcdefgh"]);
const sizes = { n_embd: 8, n_head: 2, block_size: 12, init_std: 0.4 };

function modelOf(overrides: Partial<Config>): Model & { params: Float64Array } {
  const config = resolveConfig("microgpt", { ...sizes, temperature: 1, ...overrides });
  const dims = dimsOf(config, tokenizer.vocab_size);
  const params = initialParameters(config, dims, new PythonRandom(5));
  return { config, tokenizer, step: 1, layout: new ParameterLayout(dims), values: params, params };
}

async function texts(model: Model, sampling: SamplingOptions): Promise<string[]> {
  const generator = await Generator.open(model, "cpu");
  const found: string[] = [];
  for await (const { text } of generator.samples(sampling)) found.push(text);
  generator.close();
  return found;
}

describe("of seed s", () => {
  const rope = { position: "rope" } as const;

  test("text i is text 1 of seed s + i - 1, of a model that goes beyond microgpt", async () => {
    const model = modelOf(rope);
    const all = await texts(model, { seed: 7, num_samples: 9 });
    const alone = [];
    for (let i = 0; i < 9; i++) {
      alone.push(...(await texts(model, { seed: 7 + i, num_samples: 1 })));
    }
    expect(all).toEqual(alone);
    expect(new Set(all).size).toBeGreaterThan(6);
  });

  test("texts follow one another on one stream of a model like microgpt", async () => {
    const model = modelOf({});
    const { params, config, layout } = model;
    const random = new PythonRandom(7);
    const decoder = new CpuDecoder(config, layout.dims, params);
    const found: string[] = [];
    for (const prompt of ["", "ab", ""]) {
      const { decode } = decoder;
      const options = { ...config, prompt, tokenizer, decode: decode.bind(decoder), random };
      for await (const event of write({ ...options, num_samples: 2 })) {
        if (event.type === "sample") found.push(event.text);
      }
    }
    expect(found.slice(0, 2)).toEqual(await texts(model, { seed: 7, num_samples: 2 }));
    const [, second] = await texts(model, { seed: 7, num_samples: 2 });
    expect(await texts(model, { seed: 8, num_samples: 1 })).not.toEqual([second]);
  });

  test("a run's texts and those of its model are the same", async () => {
    const config = resolveConfig("microgpt", { ...sizes, ...rope, num_steps: 2, num_samples: 4 });
    const documents = ["abba", "cab", "dead", "fed"];
    const training = await Training.open({ config, documents, device: "cpu" });
    for await (const _ of training.steps());
    const found: string[] = [];
    for await (const { text } of training.samples()) found.push(text);
    expect(await texts(await training.model(), { seed: config.seed })).toEqual(found);
    const looked: string[] = [];
    for await (const { text } of training.preview(3)) looked.push(text);
    const seed = config.seed + 2;
    expect(await texts(await training.model(), { seed, num_samples: 3 })).toEqual(looked);
  });

  test("a run of adapters writes as the model that comes of it", async () => {
    const initFrom = modelOf({ tokenizer: "char" }); // its texts follow one another on one stream
    const config = initialConfig(initFrom, { num_steps: 2, lora_rank: 2 });
    const documents = ["abba", "cab", "dead", "fed"];
    const training = await Training.open({ config, documents, device: "cpu", initFrom });
    for await (const _ of training.steps());
    const looked: string[] = [];
    for await (const { text } of training.preview(3)) looked.push(text);
    const options = { seed: initFrom.config.seed + 2, num_samples: 3 };
    expect(await texts(await training.model(), options)).toEqual(looked);
  });
});

test("pieces come in order, and of later texts what has come at once when their turn comes", async () => {
  const model = modelOf({ position: "rope", format: "text" });
  const { config, layout, params } = model;
  const decoder = new CpuDecoder(config, layout.dims, params);
  let drawn = 0;
  const events = write({
    ...config,
    num_samples: 3,
    max_tokens: 6,
    tokenizer,
    random: randomsOf(config, 1),
    async *decode(continuation) {
      for await (const token of decoder.decode(continuation)) {
        drawn++;
        yield token;
      }
    },
  });
  const indices: number[] = [];
  const drawnAt: number[] = [];
  for await (const { type, index } of events) {
    if (type !== "piece") continue;
    indices.push(index);
    drawnAt.push(drawn);
  }
  expect(indices).toEqual([1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3]);
  expect(drawn).toBe(18);
  expect(drawnAt[0]).toBeLessThanOrEqual(3);
  expect(drawnAt[5]).toBeGreaterThan(12); // the others have grown with the first
});

describe("in order", () => {
  /** Texts of as many events as their lengths tell, and a log of what was begun, done, and ended. */
  function log(lengths: number[], fails?: number) {
    const begun: number[] = [];
    const done: string[] = [];
    let open = 0;
    let most = 0;
    async function* begin(i: number, unwanted: AbortSignal): AsyncGenerator<string, boolean> {
      begun.push(i);
      most = Math.max(most, ++open);
      try {
        for (let k = 0; k < Math.abs(lengths[i]); k++) {
          await new Promise(setImmediate);
          if (i === fails) throw new Error("broken");
          if (unwanted.aborted) return false;
          done.push(`${i}.${k}`);
          yield `${i}.${k}`;
        }
        return lengths[i] >= 0;
      } finally {
        open--;
      }
    }
    return { begin, begun, done, most: () => most, open: () => open };
  }
  async function all(events: AsyncGenerator<string>) {
    const found: string[] = [];
    for await (const event of events) found.push(event);
    return found;
  }
  const lengths = [3, 0, 5, 1, 2];
  const wanted = lengths.flatMap((length, i) => Array.from({ length }, (_, k) => `${i}.${k}`));

  test.each([1, 2, 3, 64])("%i at a time, and never more", async (together) => {
    const { begin, begun, most, open } = log(lengths);
    expect(await all(inOrder(5, together, begin))).toEqual(wanted);
    expect(begun).toEqual([0, 1, 2, 3, 4]);
    expect(most()).toBe(Math.min(together, 5));
    expect(open()).toBe(0);
  });

  test("one at a time, nothing is done that is not asked for", async () => {
    const { begin, done, begun } = log(lengths);
    const events = inOrder(5, 1, begin);
    for (let k = 0; k < 3; k++) await events.next();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect([done, begun]).toEqual([["0.0", "0.1", "0.2"], [0]]);
    await events.return(undefined);
  });

  test("what is given up ends all, and what is returned leaves nothing open", async () => {
    const given = log([2, -1, 4]);
    expect(await all(inOrder(3, 3, given.begin))).toEqual(["0.0", "0.1", "1.0"]);
    expect(given.open()).toBe(0);
    const left = log([2, 4, 4]);
    const events = inOrder(3, 2, left.begin);
    await events.next();
    await events.return(undefined);
    expect(left.open()).toBe(0);
    expect(left.done.length).toBeLessThan(5);
  });

  test("an error in any of them comes at once, and ends the others", async () => {
    const { begin, open } = log([50, 3, 3], 1);
    await expect(all(inOrder(3, 3, begin))).rejects.toThrow("broken");
    expect(open()).toBe(0);
  });
});
