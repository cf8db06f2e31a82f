// What is left to draw from, and how likely: each option against its plain definition, all of them in their order; what
// stop strings keep; what is told of the tokens drawn.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkDrawOptions, type DrawOptions } from "../src/generation/draw.ts";
import { generate, type GenerateOptions } from "../src/generation/generate.ts";
import {
  type Drawing,
  logProbabilities,
  nextProbabilities,
  softmax,
} from "../src/generation/probabilities.ts";
import { StopStrings } from "../src/generation/stop_strings.ts";
import { PythonRandom } from "../src/random.ts";
import { decodeBy } from "./harness/decode.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";

/** Probabilities as logits that have them. */
const logs = (...p: number[]) => p.map(Math.log);
/** Ids that may be drawn. */
const left = (p: Float64Array) => [...p.keys()].filter((id) => p[id] > 0);

/** Each option as its definition says, in Hugging Face's order, with sorted lists and sums from the least on. */
function plainly(logits: number[], seen: number[], drawing: Required<Drawing>): number[] {
  const { temperature, top_k, top_p, min_p, repetition_penalty, logit_bias } = drawing;
  let scores = logits.map((logit, id) => logit + (logit_bias[id] ?? 0));
  scores = scores.map((score, id) => {
    if (!seen.includes(id)) return score;
    return score > 0 ? score / repetition_penalty : score * repetition_penalty;
  });
  scores = scores.map((score) => score / temperature);
  const exp = () => scores.map((score) => Math.exp(score));
  const sum = (list: number[]) => list.reduce((a, b) => a + b, 0);
  const ascending = () => [...scores.keys()].sort((a, b) => scores[a] - scores[b]);
  if (top_k > 0) {
    const removed = ascending().slice(0, -top_k);
    scores = scores.map((score, id) => (removed.includes(id) ? -Infinity : score));
  }
  const total = sum(exp());
  const p = exp().map((e) => e / total);
  const order = ascending();
  const upTo = (id: number) => sum(order.slice(0, order.indexOf(id) + 1).map((id) => p[id]));
  const last = order.at(-1);
  scores = scores.map((score, id) => (id !== last && upTo(id) <= 1 - top_p ? -Infinity : score));
  const again = sum(exp());
  const most = Math.max(...exp()) / again;
  scores = scores.map((score) => (Math.exp(score) / again < min_p * most ? -Infinity : score));
  const all = sum(exp());
  return exp().map((e) => e / all);
}

test("every mixture of options is what their definitions make of it, one after the other", () => {
  const random = new PythonRandom(5);
  const draw = <T>(...values: T[]): T => values[Math.floor(random.random() * values.length)];
  for (let i = 0; i < 400; i++) {
    const V = draw(2, 7, 40);
    const logits = Array.from({ length: V }, () => random.gauss(0, draw(0.5, 3)));
    const ids = Array.from({ length: 6 }, () => Math.floor(random.random() * V));
    const drawing = {
      temperature: draw(0.3, 1, 2.5),
      top_k: draw(0, 1, 3, 20, 100),
      top_p: draw(1, 0.01, random.random(), 0.97),
      min_p: draw(0, random.random(), 0.1, 1),
      repetition_penalty: draw(1, 1.3, 5, 0.7),
      logit_bias: draw({}, { [ids[0]]: 3, [ids[5]]: -100 }),
    };
    const expected = plainly(logits, ids, drawing);
    const got = nextProbabilities(logits, drawing, { seen: ids });
    expect(left(got)).toEqual(left(Float64Array.from(expected)));
    got.forEach((p, id) => expect(p).toBeCloseTo(expected[id], 12));
  }
});

describe("the order is told by what is left of 0.4, 0.3, 0.2 and 0.1:", () => {
  const of = (drawing: Partial<Drawing>, seen: number[] = []) =>
    left(nextProbabilities(logs(0.4, 0.3, 0.2, 0.1), { temperature: 1, ...drawing }, { seen }));

  test.each<[string, Partial<Drawing>, number[]]>([
    ["top_p alone", { top_p: 0.5 }, [0, 1]],
    ["top_p after temperature", { top_p: 0.5, temperature: 0.5 }, [0]],
    ["top_p of what top_k leaves", { top_p: 0.5, top_k: 2 }, [0]],
    ["min_p alone", { min_p: 0.5 }, [0, 1, 2]],
    ["min_p after temperature", { min_p: 0.5, temperature: 0.5 }, [0, 1]],
    ["min_p after top_p, which has seen all", { min_p: 0.49, top_p: 0.75 }, [0, 1, 2]],
    ["bias before all", { top_k: 1, logit_bias: { 3: 5 } }, [3]],
  ])("%s", (_, drawing, ids) => expect(of(drawing)).toEqual(ids));

  test("the repetition penalty before top_k, and after the bias", () => {
    expect(of({ top_k: 2, repetition_penalty: 3 }, [0])).toEqual([1, 2]);
    // 3 + log 0.4 is positive, and so divided: log 0.3 is below it still
    const drawing = { temperature: 0, repetition_penalty: 3, logit_bias: { 0: 3 } };
    expect(of(drawing, [0])).toEqual([0]);
    expect(of({ temperature: 0, repetition_penalty: 3 }, [0])).toEqual([1]);
  });
});

describe("at an edge", () => {
  test("all that are equally likely stay", () => {
    const even = [1, 1, 1, 1, 0];
    for (const drawing of [{ top_k: 1 }, { top_p: 0.1 }, { min_p: 1 }]) {
      const p = nextProbabilities(even, { temperature: 1, ...drawing });
      expect([...p]).toEqual([0.25, 0.25, 0.25, 0.25, 0]);
    }
  });

  test("the likeliest stays, whatever is asked for", () => {
    for (const drawing of [{ top_p: 1e-300 }, { top_p: 1e-300, min_p: 1, top_k: 1 }]) {
      expect(left(nextProbabilities([0, 2, 1], { temperature: 1, ...drawing }))).toEqual([1]);
    }
  });

  test("what changes nothing changes no bit", () => {
    const random = new PythonRandom(1);
    const logits = Array.from({ length: 30 }, () => random.gauss(0, 2));
    const off = { top_k: 0, top_p: 1, min_p: 0, repetition_penalty: 1, logit_bias: {} };
    const seen = [1, 2, 3];
    expect(nextProbabilities(logits, { temperature: 0.5, ...off }, { seen })).toEqual(
      softmax(logits, 0.5),
    );
  });

  test("a negative logit gets smaller by the penalty too, once, however often its token is there", () => {
    const scores = nextProbabilities(
      [2, -2, 2],
      { temperature: 1, repetition_penalty: 2 },
      { seen: [0, 1, 1, 1] },
    );
    expect([...scores]).toEqual([...softmax([1, -4, 2], 1)]);
  });
});

test("log-probabilities are those of all logits, large ones too", () => {
  const got = logProbabilities([1000, 1000 + Math.log(3), 0]);
  expect(got[0]).toBeCloseTo(Math.log(0.25), 12);
  expect(got[1]).toBeCloseTo(Math.log(0.75), 12);
  expect(got[2]).toBeCloseTo(Math.log(0.25) - 1000, 9);
});

describe("stop strings", () => {
  test("cut a text before the first that is in it, however it comes", () => {
    const letters = (options: object) =>
      fc.string({ unit: fc.constantFrom("a", "b", "😀"), ...options });
    const stops = fc.array(letters({ minLength: 1, maxLength: 3 }), { maxLength: 3 });
    fc.assert(
      fc.property(fc.array(letters({ maxLength: 3 })), stops, (pieces, strings) => {
        const watch = new StopStrings(strings);
        const parts = pieces.map((piece) => watch.push(piece));
        const whole = pieces.join("");
        const places = strings.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
        expect(parts.join("") + watch.end()).toBe(whole.slice(0, Math.min(...places)));
        expect(watch.found).toBe(places.length > 0);
      }),
    );
  });

  test("hold back no more than may become one", () => {
    const watch = new StopStrings(["END", "\n\n"]);
    const pushed = ["a", "E", "N", "x", "\n", "y", "EN", "D!"].map((text) => watch.push(text));
    expect(pushed).toEqual(["a", "", "", "ENx", "", "\ny", "", ""]);
    expect([watch.end(), watch.push("more")]).toEqual(["", ""]);
  });
});

const tokenizer = new CharTokenizer([..."abcdefghij"], ["<|x|>"]); // BOS is 10, <|x|> 11

/** Texts of a model for which after a token its successor has the logit 5, and all others 0. */
async function texts(options: Partial<GenerateOptions>) {
  const events = generate({
    format: "lines",
    block_size: 8,
    num_samples: 1,
    temperature: 0,
    top_k: 0,
    top_p: 1,
    min_p: 0,
    repetition_penalty: 1,
    max_tokens: 0,
    ...options,
    tokenizer,
    random: new PythonRandom(1),
    decode: decodeBy(async (tokens) => {
      const logits = new Float32Array(12);
      logits[(tokens.at(-1)! + 1) % 10] = 5;
      return logits;
    }),
  });
  const all = [];
  for await (const event of events) all.push(event);
  return all;
}

describe("a text", () => {
  test("ends before a stop string that is written, not before one of its prompt", async () => {
    expect(await texts({ prompt: "cd", stop: ["fg", "cd"] })).toEqual([
      { type: "sample", index: 1, text: "cde" },
    ]);
    expect((await texts({ prompt: "cd", stop: ["gx", "jz"] }))[0].text).toBe("cdefghij");
  });

  test("repeats nothing under a penalty, but BOS and the other special tokens have none", async () => {
    // The next letter has 5, or 5 / 100 where it was there before; BOS was there too, at the first place.
    const options = { prompt: "ij", repetition_penalty: 100, logit_bias: { 10: 0.1 } };
    const [{ text, tokens }] = await texts({ ...options, max_tokens: 20, logprobs: 0 });
    expect(text).toBe("ijabcdefgh");
    expect(tokens!.at(-1)).toMatchObject({ id: 10, token: "bos", top_logprobs: [] });
  });

  test("has the tokens that a bias wants, but no special ones", async () => {
    const [{ text }] = await texts({ prompt: "a", max_tokens: 3, logit_bias: { 4: 9, 11: 99 } });
    expect(text).toBe("aeee");
  });

  test("is told token by token, with the one that ends it", async () => {
    const options = { prompt: "ai", logit_bias: { 10: 4 }, repetition_penalty: 2, logprobs: 3 };
    const [{ tokens, text }] = await texts(options);
    expect(text).toBe("aij");
    const rest = -Math.log(Math.exp(5) + 11); // of any other token
    const other = (id: number, token: string) => ({ id, token, logprob: expect.closeTo(rest, 6) });
    const next = (id: number, token: string) => ({
      id,
      token,
      logprob: expect.closeTo(5 + rest, 6),
    });
    expect(tokens).toEqual([
      { ...next(9, "j"), top_logprobs: [next(9, "j"), other(0, "a"), other(1, "b")] },
      // the likeliest one for the model is in the text already, and was made less likely
      { ...other(10, "bos"), top_logprobs: [next(0, "a"), other(1, "b"), other(2, "c")] },
    ]);
  });
});

test.each<[DrawOptions, string]>([
  [{ stop: [""] }, 'stop is [""]; it must be a list of strings that are not empty.'],
  [{ stop: "x" as never }, 'stop is "x"; it must be a list of strings that are not empty.'],
  [{ logprobs: -1 }, "logprobs is -1; it must be a whole number of at least 0."],
  [{ logprobs: 1.5 }, "logprobs is 1.5; it must be a whole number of at least 0."],
  [{ logit_bias: { 12: 1 } }, 'logit_bias has 1 for "12"; it takes ids of tokens, 0 to 11, '],
  [{ logit_bias: { a: 1 } as never }, 'logit_bias has 1 for "a"; '],
  [{ logit_bias: { 1: NaN } }, 'logit_bias has null for "1"; '],
])("%j is refused", (options, sentence) => {
  expect(() => checkDrawOptions(options, tokenizer)).toThrow(sentence);
});
