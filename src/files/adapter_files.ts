// A model of adapters and frozen weights as the files of its folder: the adapters in PEFT's format, adapter_model.safetensors
// and adapter_config.json, and what they are beside once and for all, in base.safetensors.
//
// Whoever opens the folder gets the model that both make together. Each adapters' file says by a fingerprint which base
// it belongs to, so that files of two runs are never taken for one model.

import { ModelFileError } from "../errors.ts";
import { fnv, FNV_START, hex } from "../fnv.ts";
import {
  adaptersOf,
  linearNames,
  mergedConfig,
  scaleOf,
  targetWeights,
} from "../model/adapters.ts";
import type { Target } from "../config/lora_targets.ts";
import { mergeAdapters } from "../model/merge.ts";
import { dimsOf, ParameterLayout } from "../model/parameters.ts";
import {
  CHAT_TEMPLATE_FILE,
  checkFinite,
  CONFIG_FILE,
  decodeModelFile,
  encodeModel,
  fail,
  metadataOf,
  type Model,
  ModelFile,
  parseJson,
  readConfig,
  readTensors,
  readTokenizer,
  toText,
  TOKENIZER_FILE,
} from "./model_files.ts";
import { floatRange } from "./floats.ts";
import { decodeSafetensors, safetensorsPieces } from "./safetensors.ts";

/** The weights beside adapters, a whole model by themselves. */
export const BASE_FILE = "base.safetensors";
export const ADAPTER_FILE = "adapter_model.safetensors";
export const ADAPTER_CONFIG_FILE = "adapter_config.json";

/** A model whose parameters are adapters. */
export interface AdaptedModel extends Model {
  /** The model that they are beside. */
  frozen: Model;
}

/** The module of a layer that PEFT knows a weight by. */
const modules: Record<Target, string> = {
  q: "self_attn.q_proj",
  k: "self_attn.k_proj",
  v: "self_attn.v_proj",
  o: "self_attn.o_proj",
  gate: "mlp.gate_proj",
  up: "mlp.up_proj",
  down: "mlp.down_proj",
};

/** The model without adapters that both make together. */
export function mergedModel({ frozen, config, tokenizer, step, layout, values }: AdaptedModel) {
  const merged = mergeAdapters(config, layout.dims, frozen.values, { layout, values });
  return {
    config: mergedConfig(config),
    tokenizer,
    step,
    layout: frozen.layout,
    values: merged,
  } satisfies Model;
}

/** By our names of tensors PEFT's. */
function peftNames({ dims }: ParameterLayout): Map<string, string> {
  const names = new Map<string, string>();
  for (let l = 0; l < dims.L; l++) {
    for (const linear of linearNames) {
      for (const { target } of adaptersOf(dims, linear)?.parts ?? []) {
        for (const matrix of ["lora_A", "lora_B"]) {
          names.set(
            `layer${l}.${targetWeights[target]}.${matrix}`,
            `base_model.model.model.layers.${l}.${modules[target]}.${matrix}.weight`,
          );
        }
      }
    }
  }
  return names;
}

/** What tells one base from another: of weights that were trained no number stays as it was. */
export function baseFingerprint({ values }: Pick<Model, "values">): string {
  const step = Math.max(1, Math.floor(values.length / 2 ** 16));
  const bits = new Uint32Array(1);
  const number = new Float32Array(bits.buffer);
  let [a, b] = [FNV_START, values.length >>> 0];
  for (let i = 0; i < values.length; i += step) {
    number[0] = values[i];
    a = fnv(a, bits[0]);
    b = Math.imul(b ^ a, 0x85ebca6b) >>> 0;
    b = (b ^ (b >>> 13)) >>> 0;
  }
  return hex(a) + hex(b);
}

/** @throws ModelFileError if a weight is not finite */
export function encodeBase(frozen: Model): ModelFile {
  const [{ pieces }] = encodeModel(frozen, { base: baseFingerprint(frozen) });
  return new ModelFile(BASE_FILE, pieces);
}

/**
 * The adapters' files, the first of which is enough beside the base.
 * @throws ModelFileError if a number is not finite as a float32
 */
export function encodeAdapters(model: AdaptedModel): ModelFile[] {
  const { config, layout, values, frozen } = model;
  const names = peftNames(layout);
  const tensors = layout.slices.map(({ name, shape, offset, size }) => ({
    name: names.get(name)!,
    shape,
    values: values.subarray(offset, offset + size),
  }));
  for (const { name, values } of tensors) checkFinite(values, name, "The model", floatRange);
  const metadata = metadataOf(model);
  const told = { format: "pt", ...metadata, base: baseFingerprint(frozen) };
  return [
    new ModelFile(ADAPTER_FILE, safetensorsPieces(tensors, told)),
    ModelFile.ofText(ADAPTER_CONFIG_FILE, toText(peftConfig(config, layout))),
    ModelFile.ofText(CONFIG_FILE, metadata.config),
    ModelFile.ofText(TOKENIZER_FILE, metadata.tokenizer),
    ...(metadata.chat_template === undefined
      ? []
      : [ModelFile.ofText(CHAT_TEMPLATE_FILE, metadata.chat_template)]),
  ];
}

/** A LoraConfig of PEFT. */
function peftConfig(config: Model["config"], { dims }: ParameterLayout): object {
  const { R, targets } = dims.adapters!;
  return {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: null,
    inference_mode: true,
    r: R,
    lora_alpha: scaleOf(config) * R,
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: false,
    init_lora_weights: true,
    modules_to_save: null,
    target_modules: targets.map((target) => modules[target].split(".")[1]),
    use_dora: false,
    use_rslora: false,
  };
}

/**
 * The model that adapters and their base make together.
 * @param read the bytes of a file of the folder, undefined if there is none of that name
 * @throws ModelFileError if a file is missing, damaged, or not of the other
 */
export function decodeAdapted(
  read: (name: string) => Uint8Array | undefined,
  where: string,
): Model {
  const path = `${where}/${ADAPTER_FILE}`;
  const bytes = read(ADAPTER_FILE);
  if (bytes === undefined) throw new ModelFileError(`${path} is missing; restore it.`);
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  for (const key of ["config", "tokenizer", "base"]) {
    if (Object.hasOwn(metadata, key)) continue;
    throw new ModelFileError(
      `${path} lacks its ${key}: it was not written by this program, which opens adapters of its own runs alone. Merge ` +
        `it into its base by PEFT's merge_and_unload(), and import that.`,
    );
  }
  const { config, step, vocab_size } = readConfig(
    parseJson(metadata.config, `the config in ${path}`),
    `the config in ${path}`,
  );
  const tokenizer = readTokenizer(
    parseJson(metadata.tokenizer, `the tokenizer in ${path}`),
    `the tokenizer in ${path}`,
  );
  const dims = dimsOf(config, vocab_size);
  if (!dims.adapters) fail(path, "is of a run without adapters");
  const known = peftNames(new ParameterLayout(dims));
  const ours = new Map([...known].map(([name, peft]) => [peft, name]));
  const named = tensors.map((tensor) => ({
    ...tensor,
    name: ours.get(tensor.name) ?? tensor.name,
  }));
  const { layout, flat } = readTensors(named, dims, path, (dims) => [
    { prefix: "", layout: new ParameterLayout(dims) },
  ]);
  const frozen = decodeBase(read(BASE_FILE), where, metadata.base);
  return mergedModel({ config, tokenizer, step, layout, values: flat[0], frozen });
}

/**
 * @param fingerprint of the base that is wanted
 * @throws ModelFileError if it is missing, damaged or another
 */
export function decodeBase(
  bytes: Uint8Array | undefined,
  where: string,
  fingerprint: string,
): Model {
  const path = `${where}/${BASE_FILE}`;
  if (bytes === undefined) {
    throw new ModelFileError(
      `${path} is missing: the weights that the adapters there were trained beside. Restore it, or train again.`,
    );
  }
  const frozen = decodeModelFile(bytes, path);
  if (baseFingerprint(frozen) === fingerprint) return frozen;
  throw new ModelFileError(
    `${path} is not what the adapters beside it were trained with: the files are of two runs. Restore those of one, or ` +
      `train again.`,
  );
}
