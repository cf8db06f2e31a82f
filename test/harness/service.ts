// Tiny models behind OpenAI's interface, on the CPU.

import { Service } from "../../src/api/service.ts";
import { Generator } from "../../src/generation/from_model.ts";
import { type Model, train, type TrainOptions } from "../../src/index.ts";
import { conversations } from "./conversations.ts";

const small = { n_embd: 8, n_head: 2, num_steps: 10, device: "cpu" } as const;
const rain = "Rain on the roof, rain on the road: naïve, größer, 雨 and 🙂.\n".repeat(20);
const asked = conversations.map((turns) => [{ role: "system", content: "be" }, ...turns]);

/** What there is to learn of each kind of model, and by which settings. */
const kinds = {
  names: [["ada", "grace", "alan", "emmy", "ada lovelace"], { block_size: 16 }],
  tied: [["ada", "grace", "alan", "emmy"], { block_size: 16, tie_embeddings: true }],
  text: [rain, { format: "text", tokenizer: "bpe", vocab_size: 270, block_size: 16 }],
  words: [rain, { format: "text", tokenizer: "word", vocab_size: 16, block_size: 16 }],
  chat: [
    asked.map((turns) => `${JSON.stringify(turns)}\n`).join(""),
    { format: "chat", block_size: 64 },
  ],
  talk: [
    conversations.map((turns) => `${JSON.stringify(turns)}\n`).join(""),
    { format: "chat", tokenizer: "bpe", vocab_size: 300, block_size: 64 },
  ],
} satisfies Record<string, [string | string[], TrainOptions]>;

export type Kind = keyof typeof kinds;

export async function tinyModel(kind: Kind): Promise<Model> {
  const [text, options]: [string | string[], TrainOptions] = kinds[kind];
  const training = await train(text, { ...small, ...options });
  for await (const _ of training.steps());
  return training.model();
}

export interface Served {
  service: Service;
  generator: Generator;
  model: Model;
}

export async function served(kind: Kind): Promise<Served> {
  const model = await tinyModel(kind);
  const generator = await Generator.open(model, "cpu");
  return { service: new Service(generator, { model: kind, created: 0 }), generator, model };
}

type Answered<T, Chunk> = Promise<{ object: T } | { stream: AsyncIterable<Chunk> }>;

export async function objectOf<T, Chunk>(answer: Answered<T, Chunk>): Promise<T> {
  const answered = await answer;
  if ("object" in answered) return answered.object;
  throw new Error("an object was expected");
}

export async function chunksOf<T, Chunk>(answer: Answered<T, Chunk>): Promise<Chunk[]> {
  const answered = await answer;
  if ("object" in answered) throw new Error("a stream was expected");
  return collect(answered.stream);
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
