// A model as a GGUF file, which llama.cpp and all that is made of it run, and beside it a Modelfile for Ollama.

import { isChat, isStream } from "../../choices.ts";
import { ModelFileError } from "../../errors.ts";
import { metadataOf, type Model, ModelFile } from "../../files/model_files.ts";
import { isGain } from "../../model/parameters.ts";
import { chatIds, chatTemplate } from "../../text/chat.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { type LlamaShape, llamaShape } from "../architecture.ts";
import { checkWeights } from "../check_weights.ts";
import type { Exported, ExportOptions } from "../formats.ts";
import { modelfile } from "./modelfile.ts";
import { type GgufParameter, ggufParameters, rowsOf } from "./tensors.ts";
import { tokenizerEntries } from "./tokenizer.ts";
import { type Entry, ggufPieces } from "./write.ts";

export const GGUF_FILE = "model.gguf";
const MODELFILE = "Modelfile";
/** Our settings, whole: other programs let be what they do not know. */
export const SETTINGS_KEY = "microgpt.config";

/**
 * @throws ModelFileError if the model is of neither Llama's nor Qwen3's shape, llama.cpp has no like of its tokenizer, or
 *   a weight is not finite in the type that it is written in
 */
export function exportGguf(model: Model, { half }: ExportOptions): Exported {
  const { config, tokenizer, layout, values } = model;
  const shape = llamaShape(config);
  if (typeof shape === "string") {
    throw new ModelFileError(
      `The model cannot be written as GGUF, which is for models of Llama's and Qwen3's shape: ${shape}. Train one of ` +
        `the presets llama-15m, qwen3-15m or size-small, or choose another format.`,
    );
  }
  const entries: Entry[] = [
    ["general.architecture", "string", shape.architecture],
    ["general.type", "string", "model"],
    ["general.file_type", "u32", half ? 1 : 0],
    ...shapeEntries(shape, tokenizer.vocab_size),
    ...tokenizerEntries(tokenizer),
    ...documentEntries(model),
    [SETTINGS_KEY, "string", metadataOf(model).config],
  ];
  const tensors = ggufParameters(layout, shape.architecture).map((parameter) => {
    const { slice } = parameter;
    const dtype: "F32" | "F16" = half && !isGain(slice) ? "F16" : "F32";
    const part = values.subarray(slice.offset, slice.offset + slice.size);
    checkWeights(part, slice.name, dtype === "F16");
    return {
      name: parameter.name,
      shape: slice.shape,
      dtype,
      values: () => ordered(parameter, values),
    };
  });
  const files = [
    new ModelFile(GGUF_FILE, ggufPieces(entries, tensors)),
    ModelFile.ofText(MODELFILE, modelfile(model, GGUF_FILE)),
  ];
  return { files, notes: isStream(config.format) ? [STREAM] : [] };
}

const STREAM =
  `A text of this model begins behind a line's end, which is not shown, and which other programs do not put there: ` +
  `begin the prompt with one for the same text.`;

function shapeEntries(shape: LlamaShape, vocab_size: number): Entry[] {
  const { architecture, head_dim } = shape;
  const key = (name: string) => `${architecture}.${name}`;
  return [
    [key("block_count"), "u32", shape.n_layer],
    [key("context_length"), "u32", shape.block_size],
    [key("embedding_length"), "u32", shape.n_embd],
    [key("feed_forward_length"), "u32", shape.mlp_hidden],
    [key("attention.head_count"), "u32", shape.n_head],
    [key("attention.head_count_kv"), "u32", shape.n_kv_head],
    [key("attention.key_length"), "u32", head_dim],
    [key("attention.value_length"), "u32", head_dim],
    [key("attention.layer_norm_rms_epsilon"), "f32", shape.rmsnorm_eps],
    [key("rope.freq_base"), "f32", shape.rope_theta],
    [key("rope.dimension_count"), "u32", head_dim],
    [key("vocab_size"), "u32", vocab_size],
  ];
}

/** How its texts begin and end. */
function documentEntries({ config: { format }, tokenizer }: Model): Entry[] {
  return [
    ["tokenizer.ggml.bos_token_id", "u32", tokenizer.bos],
    ["tokenizer.ggml.eos_token_id", "u32", tokenizer.bos],
    ["tokenizer.ggml.add_bos_token", "bool", !isStream(format)],
    ["tokenizer.ggml.add_eos_token", "bool", false],
    ...(isChat(format) ? chatEntries(tokenizer) : []),
  ];
}

function chatEntries(tokenizer: Tokenizer): Entry[] {
  return [
    ["tokenizer.ggml.eot_token_id", "u32", chatIds(tokenizer).end_turn],
    ["tokenizer.chat_template", "string", chatTemplate(tokenizer)],
  ];
}

/** The numbers of a parameter, its rows in a file's order. */
function ordered({ slice, rowOf }: GgufParameter, values: Model["values"]): ArrayLike<number> {
  const { offset, size } = slice;
  const own = values.subarray(offset, offset + size);
  const [rows, columns] = rowsOf(slice);
  if (rowOf(1) === 1) return own;
  const moved = new Float32Array(size);
  for (let row = 0; row < rows; row++) {
    const from = rowOf(row) * columns;
    moved.set(own.subarray(from, from + columns), row * columns);
  }
  return moved;
}
