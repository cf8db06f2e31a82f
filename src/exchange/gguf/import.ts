// A model from a GGUF file of Llama's or Qwen3's architecture, ours or another's, in f32, f16 or bf16.

import { plural } from "../../count.ts";
import type { ByteSource } from "../../files/byte_source.ts";
import { floatBytes, toFloat32 } from "../../files/floats.ts";
import { checkFinite, parseJson } from "../../files/model_files.ts";
import { dimsOf, ParameterLayout } from "../../model/parameters.ts";
import { chatTemplate, isOfChat } from "../../text/chat.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { type Architecture, architectures, type LlamaShape } from "../architecture.ts";
import { GET_AGAIN } from "../folder.ts";
import {
  aboutBos,
  configOf,
  type Imported,
  type Own,
  readOwn,
  type ReadProgress,
} from "../imported.ts";
import { gatherParameters } from "../llama_tensors.ts";
import { SETTINGS_KEY } from "./export.ts";
import { Keys } from "./keys.ts";
import { type GgufTensor, readGguf } from "./read.ts";
import { ggufParameters, rowsOf } from "./tensors.ts";
import { readTokenizerKeys } from "./tokenizer.ts";

/** Bytes of a tensor that are read at a time. */
const PART = 2 ** 22;

/** @throws ModelFileError if the file is damaged, or holds what is not known here */
export function importGguf(source: ByteSource, progress?: ReadProgress): Imported {
  const { metadata, tensors } = readGguf(source);
  const keys = new Keys(metadata, source.name);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const own = ownSettings(keys, source.name);
  const shape = readShape(keys, byName, own);
  const tokenizer = readTokenizerKeys(keys);
  const { vocab_size } = tokenizer;
  const key = `${shape.architecture}.vocab_size`;
  if (keys.has(key) && keys.whole(key) !== vocab_size) {
    keys.fail(`its ${key} is ${keys.whole(key)}, and it has ${plural(vocab_size, "token")}`);
  }
  const unasked = keys.unasked(`${shape.architecture}.`);
  if (unasked !== undefined) {
    keys.fail(`it has the key ${unasked}, which changes what a model is, and is not known here`);
  }
  const { config, step } = configOf(shape, tokenizer, own, source.name);
  const layout = new ParameterLayout(dimsOf(config, vocab_size));
  const parameters = ggufParameters(layout, shape.architecture);
  const rows = new Map(parameters.map(({ name, rowOf }) => [name, rowOf]));
  let done = 0;
  const values = gatherParameters(layout, byName, parameters, source.name, (tensor, into, name) => {
    readRows(source, tensor, into, rows.get(name)!);
    checkFinite(into, name, source.name, Infinity, GET_AGAIN);
    progress?.(++done, parameters.length);
  });
  return { model: { config, tokenizer, step, layout, values }, notes: notesOn(keys, tokenizer) };
}

/** Our settings, which a model has that was exported here. */
function ownSettings(keys: Keys, source: string): Own | undefined {
  if (!keys.has(SETTINGS_KEY)) return undefined;
  const name = `the ${SETTINGS_KEY} in ${source}`;
  return readOwn(parseJson(keys.text(SETTINGS_KEY), name), name);
}

function notesOn(keys: Keys, tokenizer: Tokenizer): string[] {
  const [bos, template] = ["tokenizer.ggml.bos_token_id", "tokenizer.chat_template"];
  const isOwn = () => isOfChat(tokenizer) && keys.text(template) === chatTemplate(tokenizer);
  return [
    ...aboutBos(tokenizer, keys.has(bos) ? keys.whole(bos, 0) : null),
    ...(keys.has(template) && !isOwn()
      ? [
          `Its chat template is left out: conversations are written here as a model learns them here.`,
        ]
      : []),
  ];
}

function readShape(
  keys: Keys,
  tensors: ReadonlyMap<string, GgufTensor>,
  own: Own | undefined,
): LlamaShape {
  const name = keys.text("general.architecture");
  const architecture = architectures.find((known) => known === name);
  if (architecture === undefined) {
    keys.fail(
      `its general.architecture is "${name}", and ${architectures.join(" and ")} are known`,
    );
  }
  const key = (name: string) => `${architecture}.${name}`;
  const n_layer = keys.whole(key("block_count"));
  if (n_layer > tensors.size) {
    keys.fail(`it should have ${n_layer} layers, and has ${plural(tensors.size, "tensor")}`);
  }
  const n_embd = keys.whole(key("embedding_length"));
  const n_head = keys.whole(key("attention.head_count"));
  const or = (name: string, other: number) => (keys.has(key(name)) ? keys.whole(key(name)) : other);
  const head_dim = or("attention.key_length", n_embd / n_head);
  for (const name of ["attention.value_length", "rope.dimension_count"]) {
    if (or(name, head_dim) === head_dim) continue;
    keys.fail(
      `its ${key(name)} is ${keys.whole(key(name))}, and its heads have ${head_dim} channels: both must be the same`,
    );
  }
  checkNeutral(keys, architecture);
  /** A float32; as our settings have it, where it is that one. */
  const float32 = (name: string, setting: "rope_theta" | "rmsnorm_eps") => {
    const value = Math.fround(keys.positive(key(name)));
    const known = own?.config[setting];
    return known !== undefined && Math.fround(known) === value ? known : shortest(value);
  };
  const theta = "rope.freq_base";
  return {
    architecture,
    n_layer,
    n_embd,
    n_head,
    n_kv_head: or("attention.head_count_kv", n_head),
    head_dim,
    mlp_hidden: keys.whole(key("feed_forward_length")),
    block_size: keys.whole(key("context_length")),
    rope_theta: keys.has(key(theta)) ? float32(theta, "rope_theta") : 10_000,
    rmsnorm_eps: float32("attention.layer_norm_rms_epsilon", "rmsnorm_eps"),
    tie_embeddings: !tensors.has("output.weight"),
  };
}

/** Keys that change nothing where they have the value that they have where they are absent. */
function checkNeutral(keys: Keys, architecture: Architecture): void {
  const type = `${architecture}.rope.scaling.type`;
  if (keys.has(type) && keys.text(type) !== "none") {
    keys.fail(
      `its ${type} is "${keys.text(type)}", and positions that are scaled are not known here`,
    );
  }
  for (const name of ["expert_count", "expert_used_count"]) {
    const key = `${architecture}.${name}`;
    if (keys.has(key) && keys.whole(key, 0) > 0) {
      keys.fail(`its ${key} is ${keys.whole(key)}, and models of experts are not known here`);
    }
  }
}

/** Of the numbers that are the same float32, the one that is shortest to write: 1e-5, and not 9.999999747378752e-6. */
function shortest(x: number): number {
  for (let digits = 1; digits < 10; digits++) {
    const short = Number(x.toPrecision(digits));
    if (Math.fround(short) === Math.fround(x)) return short;
  }
  return x;
}

/** Puts a tensor's rows where they belong, some at a time. */
function readRows(
  source: ByteSource,
  { shape, dtype, begin }: GgufTensor,
  into: Float32Array,
  rowOf: (row: number) => number,
): void {
  const [rows, columns] = rowsOf({ shape } as { shape: [number, number] });
  const width = columns * floatBytes[dtype];
  const atOnce = Math.max(1, Math.floor(PART / width));
  const isMoved = rowOf(1) !== 1;
  for (let row = 0; row < rows; row += atOnce) {
    const stop = Math.min(rows, row + atOnce);
    const bytes = source.read(begin + row * width, begin + stop * width);
    if (!isMoved) toFloat32(bytes, dtype, into.subarray(row * columns, stop * columns));
    for (let own = row; isMoved && own < stop; own++) {
      const data = bytes.subarray((own - row) * width, (own - row + 1) * width);
      const to = rowOf(own) * columns;
      toFloat32(data, dtype, into.subarray(to, to + columns));
    }
  }
}
