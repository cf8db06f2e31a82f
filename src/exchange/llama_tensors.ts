// Our parameters by the names that Hugging Face's folders have for those of Llama and Qwen3. The matrices are the same,
// (out, in), and q and k turn their channels in the same pairs: nothing is moved.

import { ModelFileError } from "../errors.ts";
import type { ParameterLayout, Slice } from "../model/parameters.ts";
import { show } from "../strict_json.ts";

const outside: Readonly<Record<string, string>> = {
  wte: "model.embed_tokens",
  lm_head: "lm_head",
  final_norm: "model.norm",
};

const inLayers: Readonly<Record<string, string>> = {
  attn_norm: "input_layernorm",
  attn_wq: "self_attn.q_proj",
  attn_wk: "self_attn.k_proj",
  attn_wv: "self_attn.v_proj",
  q_norm: "self_attn.q_norm",
  k_norm: "self_attn.k_norm",
  attn_wo: "self_attn.o_proj",
  mlp_norm: "post_attention_layernorm",
  mlp_gate: "mlp.gate_proj",
  mlp_fc1: "mlp.up_proj",
  mlp_fc2: "mlp.down_proj",
};

/**
 * What a parameter of ours is called there: `layer3.attn_wq` is `model.layers.3.self_attn.q_proj.weight`.
 * @throws RangeError if it has no such name, as `wpe`
 */
function llamaName(name: string): string {
  const [, layer, part] = /^layer(\d+)\.(\w+)$/.exec(name) ?? [];
  const found = part === undefined ? outside[name] : inLayers[part];
  if (found === undefined) throw new RangeError(`neither Llama nor Qwen3 has a parameter ${name}`);
  return part === undefined ? `${found}.weight` : `model.layers.${layer}.${found}.weight`;
}

/** A parameter as it is called there, and where it lies among ours. */
export interface LlamaTensor {
  name: string;
  slice: Slice;
}

/** All parameters of a model of Llama's or Qwen3's shape, in our order. */
export function llamaTensors(layout: ParameterLayout): LlamaTensor[] {
  return layout.slices.map((slice) => ({ name: llamaName(slice.name), slice }));
}

/**
 * The parameters from tensors of some names, flat in the order of `layout`, which has no gaps.
 * @param tensors all that the file has, by name
 * @param wanted the names that the file has for ours, see llamaTensors()
 * @param source the file, for the messages
 * @param read puts a tensor's numbers in their place
 * @throws ModelFileError if one is missing or of another shape, or the file has one that is not wanted
 */
export function gatherParameters<T extends { readonly shape: readonly number[] }>(
  layout: ParameterLayout,
  tensors: ReadonlyMap<string, T>,
  wanted: readonly LlamaTensor[],
  source: string,
  read: (tensor: T, into: Float32Array, name: string) => void,
): Float32Array {
  const known = new Set(wanted.map(({ name }) => name));
  const unknown = [...tensors.keys()].find((name) => !known.has(name));
  if (unknown !== undefined) {
    fail(source, `has the tensor ${show(unknown)}, which a model of its settings has not`);
  }
  const found = wanted.map(({ name, slice: { shape } }) => {
    const tensor = tensors.get(name);
    if (tensor === undefined) fail(source, `lacks the tensor ${name}`);
    const [got, needed] = [tensor.shape.join(", "), shape.join(", ")];
    if (got !== needed) fail(source, `has ${name} of shape (${got}), not (${needed})`);
    return tensor;
  });
  const values = new Float32Array(layout.size);
  wanted.forEach(({ name, slice: { offset, size } }, i) =>
    read(found[i], values.subarray(offset, offset + size), name),
  );
  return values;
}

function fail(source: string, what: string): never {
  throw new ModelFileError(
    `${source} ${what}. Nothing is imported; get the files again, or import another model.`,
  );
}
