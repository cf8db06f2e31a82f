// What a config.json of Hugging Face says of a model, field by field; what we have no place for is refused by its name.

import { ModelFileError } from "../../errors.ts";
import { isObject, show } from "../../strict_json.ts";
import { type Architecture, architectures, type LlamaShape } from "../architecture.ts";
import type { Json } from "../folder.ts";

export interface ForeignConfig {
  shape: LlamaShape;
  vocab_size: number;
  /** Id of the token that begins a document; null where the file names none. */
  bos: number | null;
}

/**
 * @param file the parsed config.json
 * @param source its path, for the messages
 * @throws ModelFileError if it is of no architecture that is known here, or has something that we have no place for
 */
export function readForeignConfig(file: Json, source: string): ForeignConfig {
  const architecture = architectureOf(file, source);
  refuseOthers(file, source);
  const size = (name: string, usual?: number) => sizeIn(file, name, source, usual);
  const n_embd = size("hidden_size");
  const n_head = size("num_attention_heads");
  const isQwen = architecture === "qwen3";
  const head_dim = size("head_dim", isQwen ? 128 : n_embd / n_head);
  const shape = {
    architecture,
    n_layer: size("num_hidden_layers"),
    n_embd,
    n_head,
    n_kv_head: size("num_key_value_heads", isQwen ? undefined : n_head),
    head_dim,
    mlp_hidden: size("intermediate_size"),
    block_size: size("max_position_embeddings"),
    rope_theta: thetaIn(file, source),
    rmsnorm_eps: numberIn(file, "rms_norm_eps", source, 1e-6),
    tie_embeddings: switchIn(file, "tie_word_embeddings", source),
  };
  refuseWindow(file, shape, source);
  const bos = file.bos_token_id;
  return { shape, vocab_size: size("vocab_size"), bos: typeof bos === "number" ? bos : null };
}

function architectureOf({ model_type, architectures: classes }: Json, source: string) {
  const found = architectures.find((name) => name === model_type);
  if (found !== undefined) return found satisfies Architecture;
  const named = model_type ?? (Array.isArray(classes) ? classes[0] : undefined);
  throw refused(
    source,
    named === undefined
      ? `has no model_type, so it is not known what the model is`
      : `is of a model of the type ${show(named)}; only ${architectures.join(" and ")} can be imported`,
  );
}

/** What else a model of these types may have, and the values by which it has not. */
const without: Readonly<Record<string, readonly unknown[]>> = {
  hidden_act: ["silu", "swish"],
  attention_bias: [false],
  mlp_bias: [false],
  quantization_config: [],
  partial_rotary_factor: [1],
  logit_scale: [1],
  attention_multiplier: [],
  embedding_multiplier: [1],
  residual_multiplier: [1],
  logits_scaling: [1],
  final_logit_softcapping: [],
  attn_logit_softcapping: [],
  num_experts: [0],
  num_local_experts: [0],
  is_encoder_decoder: [false],
};

function refuseOthers(file: Json, source: string): void {
  for (const [name, good] of Object.entries(without)) {
    const value = file[name] ?? null;
    if (value === null || good.includes(value)) continue;
    const known = good.length === 0 ? "models without it" : `models whose ${name} is ${good[0]}`;
    throw refused(source, `has the ${name} ${show(value)}; only ${known} can be imported`);
  }
}

/** rope_theta, by itself or among the rope's parameters, which may say nothing else. */
function thetaIn(file: Json, source: string): number {
  const ropes = ["rope_parameters", "rope_scaling"] as const;
  const found: number[] = [];
  for (const name of ropes) {
    const rope = file[name] ?? null;
    if (rope === null) continue;
    if (!isObject(rope))
      throw refused(source, `has the ${name} ${show(rope)}; an object is needed`);
    const { rope_type = "default", type = rope_type, rope_theta, ...rest } = rope;
    const factor = rest.partial_rotary_factor ?? 1;
    if (rope_type !== "default" || type !== "default" || factor !== 1) {
      throw refused(
        source,
        `has the ${name} ${show(rope)}; only rope without scaling can be imported, whose rope_type is "default"`,
      );
    }
    if (rope_theta !== undefined) found.push(numberIn(rope, "rope_theta", source));
  }
  const [theta = 10_000, ...others] = [
    ...found,
    ...(file.rope_theta == null ? [] : [numberIn(file, "rope_theta", source)]),
  ];
  if (others.every((other) => other === theta)) return theta;
  throw refused(source, `says both that rope_theta is ${theta} and that it is ${others[0]}`);
}

/** A window over all positions is none. */
function refuseWindow(file: Json, { block_size }: LlamaShape, source: string): void {
  const { use_sliding_window, sliding_window, layer_types } = file;
  const isShort = typeof sliding_window === "number" && sliding_window < block_size;
  if (use_sliding_window === true && isShort) {
    throw refused(
      source,
      `has a sliding_window of ${sliding_window} positions of ${block_size}; only models that see all of them can be imported`,
    );
  }
  const types: unknown[] = Array.isArray(layer_types) ? layer_types : [];
  const other = types.find((type) => type !== "full_attention");
  if (other === undefined) return;
  throw refused(
    source,
    `has ${show(other)} among its layer_types; only "full_attention" can be imported`,
  );
}

function sizeIn(file: Json, name: string, source: string, usual?: number): number {
  const value = file[name] ?? usual;
  if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
  throw refused(source, `has the ${name} ${show(value)}; a whole number from 1 is needed`);
}

function numberIn(file: Json, name: string, source: string, usual?: number): number {
  const value = file[name] ?? usual;
  if (Number.isFinite(value)) return value as number;
  throw refused(source, `has the ${name} ${show(value)}; a number is needed`);
}

function switchIn(file: Json, name: string, source: string): boolean {
  const value = file[name] ?? false;
  if (typeof value === "boolean") return value;
  throw refused(source, `has the ${name} ${show(value)}; true or false is needed`);
}

/** @param what the rest of the sentence, without the full stop */
export function refused(source: string, what: string): ModelFileError {
  return new ModelFileError(`${source} ${what}. Nothing is imported; choose another model.`);
}
