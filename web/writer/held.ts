// The model that the page holds: its blocks of base64, put there by src/exchange/html.ts, made a model again.

import { fromHalves } from "../../src/device/half.ts";
import type { HeldModel } from "../../src/exchange/html.ts";
import { BLOCKS } from "../../src/exchange/writer_page.ts";
import { type Model, parseJson, readConfig, readTokenizer } from "../../src/files/model_files.ts";
import { dimsOf, ParameterLayout } from "../../src/model/parameters.ts";
import { Breather } from "../../src/platform/breather.ts";

/** Characters of base64 that are read at a time. */
const PIECE = 2 ** 16;

export async function heldModel(): Promise<{ model: Model; about: HeldModel }> {
  const about = JSON.parse(new TextDecoder().decode(await bytesOf(BLOCKS.about)));
  const { config, step, vocab_size } = readConfig(parseJson(about.config, "the page"), "the page");
  const tokenizer = readTokenizer(parseJson(about.tokenizer, "the page"), "the page");
  const layout = new ParameterLayout(dimsOf(config, vocab_size));
  const { buffer } = await bytesOf(BLOCKS.weights);
  const values = about.half ? fromHalves(new Uint16Array(buffer)) : new Float32Array(buffer);
  return { model: { config, tokenizer, step, layout, values }, about };
}

/** What the blocks of a class hold together; they are taken out of the page. */
async function bytesOf(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const blocks = [...document.getElementsByClassName(name)];
  const texts = blocks.map((block) => block.textContent);
  for (const block of blocks) block.remove();
  const sizeOf = (text: string) => (text.length / 4) * 3 - (text.length - text.search(/=*$/));
  const bytes = new Uint8Array(texts.reduce((sum, text) => sum + sizeOf(text), 0));
  const breather = new Breather();
  let at = 0;
  for (const text of texts) {
    for (let from = 0; from < text.length; from += PIECE) {
      const binary = atob(text.slice(from, from + PIECE));
      for (let i = 0; i < binary.length; i++) bytes[at++] = binary.charCodeAt(i);
      if (breather.tired) await breather.rest();
    }
  }
  return bytes;
}
