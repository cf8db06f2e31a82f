// GGUF files written field by field from the format's description, so that each field can be another.

/** Little-endian numbers of 4 or 8 bytes, or bytes as they are. */
export type Field = { width: 4 | 8; value: bigint } | { bytes: Uint8Array };

export interface Made {
  magic: string;
  /** Version, number of tensors, number of keys. */
  head: [Field, Field, Field];
  keys: Field[][];
  tensors: Field[][];
  data: Uint8Array;
}

const utf8 = new TextEncoder();

export const u32 = (value: number): Field => ({ width: 4, value: BigInt(value) });
export const u64 = (value: number | bigint): Field => ({ width: 8, value: BigInt(value) });
const f32 = (value: number): Field => ({
  bytes: new Uint8Array(Float32Array.of(value).buffer),
});
export const text = (text: string): Field[] => [
  u64(utf8.encode(text).length),
  { bytes: utf8.encode(text) },
];

export const keyText = (key: string, value: string) => [...text(key), u32(8), ...text(value)];
export const keyU32 = (key: string, value: number) => [...text(key), u32(4), u32(value)];
export const keyF32 = (key: string, value: number) => [...text(key), u32(6), f32(value)];
export const keyBool = (key: string, value: number) => [
  ...text(key),
  u32(7),
  { bytes: Uint8Array.of(value) },
];
export const keyTexts = (key: string, values: readonly string[]) => [
  ...text(key),
  u32(9),
  u32(8),
  u64(values.length),
  ...values.flatMap(text),
];
export const keyI32s = (key: string, values: readonly number[]) => [
  ...text(key),
  u32(9),
  u32(5),
  u64(values.length),
  ...values.map((value) => u32(value)),
];

/** @param shape outermost first */
export const tensor = (name: string, shape: readonly number[], type: number, offset: number) => [
  ...text(name),
  u32(shape.length),
  ...shape.toReversed().map(u64),
  u32(type),
  u64(offset),
];

export function bytesOf({ magic, head, keys, tensors, data }: Made, alignment = 32): Uint8Array {
  const fields = [{ bytes: utf8.encode(magic) }, ...head, ...keys.flat(), ...tensors.flat()];
  const start = fields.reduce((sum, field) => sum + sizeOf(field), 0);
  const from = Math.ceil(start / alignment) * alignment;
  const bytes = new Uint8Array(from + data.length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const field of fields) {
    if ("bytes" in field) bytes.set(field.bytes, at);
    else if (field.width === 4) view.setUint32(at, Number(field.value & 0xffffffffn), true);
    else view.setBigUint64(at, field.value, true);
    at += sizeOf(field);
  }
  bytes.set(data, from);
  return bytes;
}

const sizeOf = (field: Field) => ("bytes" in field ? field.bytes.length : field.width);

/** Of a key or a tensor. */
export const nameOf = ([, name]: Field[]) =>
  "bytes" in name ? new TextDecoder().decode(name.bytes) : "";

/** A file of these keys and of tensors in f32, one behind the other. */
function madeOf(
  keys: Field[][],
  named: Readonly<Record<string, { shape: readonly number[]; values: readonly number[] }>>,
): Made {
  const tensors: Field[][] = [];
  const parts: number[] = [];
  for (const [name, { shape, values }] of Object.entries(named)) {
    tensors.push(tensor(name, shape, 0, 4 * parts.length));
    parts.push(...values);
    while (parts.length % 8 !== 0) parts.push(0);
  }
  return {
    magic: "GGUF",
    head: [u32(3), u64(tensors.length), u64(keys.length)],
    keys,
    tensors,
    data: new Uint8Array(Float32Array.from(parts).buffer),
  };
}

/** One of the golden models, as another program would write it. */
export interface Golden {
  config: {
    n_layer: number;
    n_embd: number;
    n_head: number;
    n_kv_head: number;
    head_dim: number;
    block_size: number;
    mlp_hidden: number;
    rope_theta: number;
    rmsnorm_eps: number;
  };
  parameters: Readonly<Record<string, { shape: readonly number[]; values: readonly number[] }>>;
}

const parts: Readonly<Record<string, string>> = {
  wte: "token_embd",
  lm_head: "output",
  final_norm: "output_norm",
  attn_norm: "attn_norm",
  attn_wq: "attn_q",
  attn_wk: "attn_k",
  attn_wv: "attn_v",
  q_norm: "attn_q_norm",
  k_norm: "attn_k_norm",
  attn_wo: "attn_output",
  mlp_norm: "ffn_norm",
  mlp_gate: "ffn_gate",
  mlp_fc1: "ffn_up",
  mlp_fc2: "ffn_down",
};

export function goldenGguf(arch: string, { config, parameters }: Golden): Made {
  const { n_head, n_kv_head, head_dim } = config;
  const named = Object.entries(parameters).map(([name, { shape, values }]) => {
    const [, layer, part] = /^(?:layer(\d+)\.)?(.+)$/.exec(name)!;
    const heads = { attn_wq: n_head, attn_wk: n_kv_head }[part];
    const turned = arch === "llama" && heads !== undefined ? turn(values, heads, head_dim) : values;
    const beginning = layer === undefined ? "" : `blk.${layer}.`;
    return [`${beginning}${parts[part]}.weight`, { shape, values: turned }] as const;
  });
  const tokens = [..."abcdefghij", "<|bos|>"];
  const keys = [
    keyText("general.architecture", arch),
    keyU32(`${arch}.block_count`, config.n_layer),
    keyU32(`${arch}.context_length`, config.block_size),
    keyU32(`${arch}.embedding_length`, config.n_embd),
    keyU32(`${arch}.feed_forward_length`, config.mlp_hidden),
    keyU32(`${arch}.attention.head_count`, n_head),
    keyU32(`${arch}.attention.head_count_kv`, n_kv_head),
    keyU32(`${arch}.attention.key_length`, head_dim),
    keyU32(`${arch}.attention.value_length`, head_dim),
    keyF32(`${arch}.attention.layer_norm_rms_epsilon`, config.rmsnorm_eps),
    keyF32(`${arch}.rope.freq_base`, config.rope_theta),
    keyText("tokenizer.ggml.model", "gpt2"),
    keyText("tokenizer.ggml.pre", "gpt-2"),
    keyTexts("tokenizer.ggml.tokens", tokens),
    keyI32s("tokenizer.ggml.token_type", [...Array<number>(10).fill(1), 3]),
    keyTexts("tokenizer.ggml.merges", []),
    keyU32("tokenizer.ggml.bos_token_id", 10),
    keyBool("tokenizer.ggml.add_bos_token", 1),
  ];
  return madeOf(keys, Object.fromEntries(named));
}

/** Rows (heads, 2, half of a head) become (heads, half of a head, 2), as llama.cpp's own converter has it. */
export function turn(values: readonly number[], heads: number, head_dim: number): number[] {
  const half = head_dim / 2;
  const width = values.length / (heads * head_dim);
  const turned: number[] = [];
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < half; i++) {
      for (const side of [0, 1]) {
        const row = (head * 2 + side) * half + i;
        turned.push(...values.slice(row * width, (row + 1) * width));
      }
    }
  }
  return turned;
}

/** The fields of a file without anything wrong. */
export function madeFrom(bytes: Uint8Array): Made {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 4;
  const number = (width: 4 | 8): Field => {
    const value = width === 4 ? BigInt(view.getUint32(at, true)) : view.getBigUint64(at, true);
    at += width;
    return { width, value };
  };
  const raw = (length: number): Field => ({ bytes: bytes.slice(at, (at += length)) });
  const valueOf = (field: Field) => Number("bytes" in field ? 0 : field.value);
  const string = () => {
    const length = number(8);
    return [length, raw(valueOf(length))];
  };
  const value = (type: number): Field[] => {
    if (type === 8) return string();
    if (type !== 9) return type === 7 ? [raw(1)] : [number(4)];
    const [element, count] = [number(4), number(8)];
    const all = Array.from({ length: valueOf(count) }, () => value(valueOf(element)));
    return [element, count, ...all.flat()];
  };
  const head: Made["head"] = [number(4), number(8), number(8)];
  const keys = Array.from({ length: valueOf(head[2]) }, () => {
    const name = string();
    const type = number(4);
    return [...name, type, ...value(valueOf(type))];
  });
  const tensors = Array.from({ length: valueOf(head[1]) }, () => {
    const name = string();
    const dimensions = number(4);
    const shape = Array.from({ length: valueOf(dimensions) }, () => number(8));
    return [...name, dimensions, ...shape, number(4), number(8)];
  });
  return { magic: "GGUF", head, keys, tensors, data: bytes.slice(Math.ceil(at / 32) * 32) };
}
