// Exported folders as transformers reads them: logits, loss, greedy continuation and ids beside ours.
//
//   node test/bench/huggingface.ts --python python3
//
// Where that Python has PyTorch alone, only shapes that bring their own code are compared.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Config, resolveConfig } from "../../src/config.ts";
import { exportHuggingFace } from "../../src/exchange/huggingface/write_folder.ts";
import type { Model } from "../../src/files/model_files.ts";
import { dimsOf, initialParameters, ParameterLayout } from "../../src/model/parameters.ts";
import { PythonRandom } from "../../src/random.ts";
import { ReferenceGpt } from "../../src/reference/gpt.ts";
import { chatTokens, turnTokens } from "../../src/text/chat.ts";
import type { Conversation } from "../../src/text/conversation.ts";
import { corpusOf } from "../../src/text/read_corpus.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { tokenize } from "../../src/training/tokenize.ts";
import { qwen } from "../harness/shapes.ts";

const { values: args } = parseArgs({ options: { python: { type: "string", default: "python3" } } });

const base = {
  n_layer: 2,
  n_embd: 24,
  n_head: 4,
  block_size: 16,
  init_std: 0.3,
  format: "lines",
} as const;
const llama = {
  ...qwen,
  qk_norm: false,
  n_kv_head: 4,
  tie_embeddings: false,
  mlp_hidden: 40,
} as const;
const shapes: Record<string, Partial<Config>> = {
  microgpt: base,
  "learned, gelu, softcap": {
    ...base,
    activation: "gelu",
    logit_softcap: 5,
    norm_gain: true,
    final_norm: true,
  },
  "rope, relu squared, qk_norm without gains": {
    ...base,
    activation: "relu_squared",
    position: "rope",
    qk_norm: true,
    final_norm: true,
    tie_embeddings: true,
  },
  "swiglu, own head_dim, shared heads": {
    ...base,
    ...qwen,
    embedding_norm: true,
    head_dim: 10,
    mlp_hidden: 40,
  },
  llama: { ...base, ...llama },
  "llama of bpe": { ...base, ...llama, tokenizer: "bpe", vocab_size: 280 },
  qwen3: { ...base, ...qwen, head_dim: 10, mlp_hidden: 40 },
  "qwen3 of words": { ...base, ...qwen, mlp_hidden: 40, tokenizer: "word", vocab_size: 20 },
  "qwen3 of conversations": { ...base, ...qwen, mlp_hidden: 40, format: "chat" },
};

const text = "who's there? It's 12 o'clock; the cat sat on the mat";
const talk: Conversation = [
  { role: "user", content: "who's there?" },
  { role: "assistant", content: "the cat" },
  { role: "user", content: "It's 12" },
];

async function modelOf(overrides: Partial<Config>): Promise<Model> {
  const config = resolveConfig("microgpt", { temperature: 1, ...overrides });
  const isChat = config.format === "chat";
  const lines = isChat ? [JSON.stringify([...talk, { role: "assistant", content: text }])] : [text];
  const { tokenizer } = (await tokenize(corpusOf(lines, config.format), config)).text;
  const dims = dimsOf(config, tokenizer.vocab_size);
  const random = new PythonRandom(1);
  // Gains are not 1, or a missing one would not be seen.
  const params = initialParameters(config, dims, random).map((x) => x + random.gauss(0, 0.05));
  return {
    config,
    tokenizer,
    step: 1,
    layout: new ParameterLayout(dims),
    values: Float32Array.from(params),
  };
}

function chatIds(tokenizer: Tokenizer): number[] {
  const turns = talk.flatMap((turn) => [...turnTokens(tokenizer, turn)]);
  return [tokenizer.bos, ...turns, tokenizer.special.get(chatTokens([talk])[1])!];
}

const folder = mkdtempSync(join(tmpdir(), "huggingface-"));
try {
  const asked: { name: string; model: Model; ids: number[] }[] = [];
  const lines: string[] = [];
  for (const [name, overrides] of Object.entries(shapes)) {
    const model = await modelOf(overrides);
    const path = join(folder, `model_${asked.length}`);
    mkdirSync(path);
    for (const { name, pieces } of exportHuggingFace(model, { half: false }).files) {
      for (const piece of pieces) writeFileSync(join(path, name), piece, { flag: "a" });
    }
    const { vocab_size } = model.tokenizer;
    const ids = Array.from({ length: 12 }, (_, i) => (i * 7 + 3) % vocab_size);
    const messages = model.config.format === "chat" ? talk : null;
    lines.push(JSON.stringify({ folder: path, ids, text, messages, new_tokens: 10 }));
    asked.push({ name, model, ids });
  }
  const twin = join(import.meta.dirname, "huggingface_twin.py");
  const { stdout, stderr, status } = spawnSync(args.python, [twin], {
    input: lines.join("\n"),
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
  const [{ version }, ...answers] = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  console.log(version);
  asked.forEach(({ name, model, ids }, i) => report(name, model, ids, answers[i]));
} finally {
  rmSync(folder, { recursive: true });
}

interface Answer {
  logits: number[];
  loss: number;
  greedy: number[];
  text?: number[];
  with_bos?: number[];
  chat?: number[];
}

function report(
  name: string,
  { config, tokenizer, layout, values }: Model,
  ids: number[],
  answer: Answer | null,
): void {
  if (answer === null) {
    console.log(`${name}: not compared`);
    return;
  }
  const gpt = new ReferenceGpt(config, layout.dims, Float64Array.from(values));
  const logits = (some: readonly number[]) => {
    return gpt
      .forward({ B: 1, T: some.length, inputs: Int32Array.from(some) })
      .slice(0, some.length * tokenizer.vocab_size);
  };
  const own = logits(ids);
  const difference = Math.max(...answer.logits.map((x, i) => Math.abs(x - own[i])));
  const written = ids.slice(0, 2);
  for (let i = 0; i < answer.greedy.length; i++) {
    const last = logits(written).slice(-tokenizer.vocab_size);
    written.push(last.indexOf(Math.max(...last)));
  }
  const said = [...tokenizer.encode(text)];
  const facts = {
    logits: answer.logits.length === own.length && difference < 1e-4,
    greedy: written.slice(2).join() === answer.greedy.join(),
    ...(answer.text && { ids: answer.text.join() === said.join() }),
    ...(answer.with_bos && { bos: answer.with_bos.join() === [tokenizer.bos, ...said].join() }),
    ...(answer.chat && { chat: answer.chat.join() === chatIds(tokenizer).join() }),
  };
  const words = Object.entries(facts).map(
    ([fact, good]) => `${fact} ${good ? "the same" : "OTHERS"}`,
  );
  console.log(`${name}: ${words.join(", ")}; logits differ by ${difference.toExponential(1)}`);
  if (Object.values(facts).includes(false)) process.exitCode = 1;
}
