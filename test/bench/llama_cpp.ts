// Compares texts of saved models with llama.cpp's, which reads them as GGUF: ids of the prompts, and the likeliest
// tokens after them, one by one. Of a model of conversations llama.cpp writes these by its template.
//
//   npm install --prefix FOLDER node-llama-cpp
//   node test/bench/llama_cpp.ts FOLDER/node_modules/node-llama-cpp MODEL-FOLDER …
//
// Of --text FILE the ids are compared too. node-llama-cpp is llama.cpp for Node, of 700 MB: install it outside the project. In f16 both have the rounded
// weights, but llama.cpp rounds what they are multiplied with too, so that texts may differ where two tokens are about
// equally likely: that is told, and no failure. --tokens says how many, --prompt what they follow.

import { Template } from "@huggingface/jinja";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { isChat, isStream } from "../../src/choices.ts";
import { exportGguf } from "../../src/exchange/gguf/export.ts";
import { importGguf } from "../../src/exchange/gguf/import.ts";
import { sourceOf } from "../../src/files/byte_source.ts";
import { loadModel } from "../../src/files/model_dir.node.ts";
import type { Model } from "../../src/files/model_files.ts";
import { Generator } from "../../src/generation/from_model.ts";
import { chatTemplate, promptTokens } from "../../src/text/chat.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tokens: { type: "string", default: "50" },
    text: { type: "string" },
    prompt: { type: "string", multiple: true, default: ["", "The king", "What is it?"] },
  },
});
const [library, ...folders] = positionals;
if (library === undefined || folders.length === 0) {
  throw new Error("Name the folder of node-llama-cpp, and one or more folders of models.");
}
const max_tokens = Number(values.tokens);
const text = values.text === undefined ? "" : readFileSync(values.text, "utf8");
const { getLlama, LlamaChatSession } = await import(
  pathToFileURL(resolve(library, "dist/index.js")).href
);
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error" });
let failures = 0;
for (const folder of folders) for (const half of [false, true]) await compare(folder, half);
await llama.dispose();
process.exitCode = failures > 0 ? 1 : 0;

async function compare(folder: string, half: boolean): Promise<void> {
  const temporary = mkdtempSync(join(tmpdir(), "gguf-"));
  try {
    const modelPath = join(temporary, "model.gguf");
    const { bytes } = exportGguf(loadModel(folder), { half }).files[0];
    writeFileSync(modelPath, bytes);
    const own = importGguf(sourceOf(modelPath, bytes)).model;
    const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
    const [told, known] = [model.tokenize(text), [...own.tokenizer.encode(text)]];
    const other = known.findIndex((id, i) => id !== told[i]);
    const isRead = told.length === known.length && other < 0;
    if (!isRead) failures++;
    const where = isRead ? "" : `, the same up to ${other < 0 ? told.length : other}`;
    if (text !== "") {
      console.log(
        `${isRead ? "same" : "DIFFERENT"}  ${folder}: ${known.length} ids of the text${where}`,
      );
    }
    for (const prompt of values.prompt) {
      const { said, start } = beginning(own, prompt);
      const read: number[] = [...model.tokenize(said, isChat(own.config.format))];
      const ids = isStream(own.config.format) ? [own.tokenizer.start, ...read] : read;
      if (!isStream(own.config.format) && !isChat(own.config.format)) ids.unshift(model.tokens.bos);
      const expected = await ours(own, prompt);
      const found = await theirs(model, ids);
      const same = found.findIndex((id, i) => id !== expected[i]);
      const count = same < 0 ? found.length : same;
      const isSame = ids.join() === start.join() && same < 0 && found.length === expected.length;
      const name = `${folder} ${half ? "f16" : "f32"} ${JSON.stringify(prompt)}`;
      if (ids.join() !== start.join())
        console.log(`${name}: prompt ${ids.join()} not ${start.join()}`);
      console.log(
        `${isSame ? "same" : "DIFFERENT"}  ${name}: ${count} of ${expected.length} tokens`,
      );
      if (isSame) console.log(`      ${JSON.stringify(model.detokenize(found, true))}`);
      else if (!half) failures++;
      if (isChat(own.config.format)) console.log(`      ${await theirAnswer(model, prompt)}`);
    }
    await model.dispose();
  } finally {
    rmSync(temporary, { recursive: true });
  }
}

/** What a text begins with: as llama.cpp is told it, and as ids of ours. */
function beginning({ config, tokenizer }: Model, prompt: string) {
  if (!isChat(config.format)) {
    const first = isStream(config.format) ? tokenizer.start : tokenizer.bos;
    return { said: prompt, start: [first, ...tokenizer.encode(prompt)] };
  }
  const [bos_token] = [...tokenizer.special].find(([, id]) => id === tokenizer.bos)!;
  const said = new Template(chatTemplate(tokenizer)).render({
    messages: [{ role: "user", content: prompt }],
    add_generation_prompt: true,
    bos_token,
  });
  return { said, start: promptTokens(tokenizer, prompt) };
}

/** By llama.cpp's own reading of the template in the file. */
async function theirAnswer(model: any, prompt: string): Promise<string> {
  const context = await model.createContext({
    contextSize: 256,
    threads: 1,
    flashAttention: false,
  });
  const session = new LlamaChatSession({
    contextSequence: context.getSequence(),
    systemPrompt: "",
  });
  const name = session.chatWrapper.wrapperName;
  const answer: string = await session.prompt(prompt, { temperature: 0, maxTokens: max_tokens });
  await context.dispose();
  return `${name}: ${JSON.stringify(answer)}`;
}

async function ours(model: Model, prompt: string): Promise<number[]> {
  const generator = await Generator.open(model, "cpu");
  const options = { prompt, seed: 1, temperature: 0, num_samples: 1, max_tokens, logprobs: 1 };
  for await (const { tokens } of generator.samples(options)) return tokens!.map(({ id }) => id);
  return [];
}

/** With a cache of f32; by itself it is of f16. */
async function theirs(model: any, ids: number[]): Promise<number[]> {
  const context = await model.createContext({
    contextSize: ids.length + max_tokens,
    threads: 1, // several wait for each other in loops
    flashAttention: false,
    experimentalKvCacheKeyType: "F32",
    experimentalKvCacheValueType: "F32",
  });
  const found: number[] = [];
  const evaluation = context.getSequence().evaluate(ids, { temperature: 0, yieldEogToken: true });
  for await (const id of evaluation) {
    found.push(id);
    if (found.length === max_tokens || model.isEogToken(id)) break;
  }
  await context.dispose();
  return found;
}
