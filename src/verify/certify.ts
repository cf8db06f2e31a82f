// Certifies a device: every kernel on its cases, whole models' gradients, and a short training run,
// each against the float64 reference.

import { type Config, resolveConfig } from "../config.ts";
import type { Device } from "../device/device.ts";
import { placeholders } from "../device/tensors.ts";
import { tryMatrices } from "../device/trial.ts";
import { drawAdapters, frozenDims, mergedConfig } from "../model/adapters.ts";
import { mergeAdapters } from "../model/merge.ts";
import {
  type Dims,
  dimsOf,
  initialParameters,
  PARAMETER_ALIGNMENT,
  ParameterLayout,
} from "../model/parameters.ts";
import { planStep } from "../model/step_plan.ts";
import { planTexts } from "../model/text_plan.ts";
import { PythonRandom } from "../random.ts";
import { ReferenceGpt } from "../reference/gpt.ts";
import { accumulate } from "../reference/optimizers.ts";
import { microBatchesAt, tokenizeDocuments } from "../text/batches.ts";
import { CharTokenizer } from "../tokenizer/char.ts";
import { CpuTrainer } from "../training/cpu_trainer.ts";
import { GpuTrainer } from "../training/gpu_trainer.ts";
import { caseDispatches } from "./case_dispatches.ts";
import { relativeError } from "./compare.ts";
import { type CheckResult, runCase } from "./kernel_case.ts";
import { checkDecoding } from "./decoding_check.ts";
import { kernelCases } from "./kernel_cases.ts";
import { opsVariants } from "./ops_variants.ts";

export type { CheckResult } from "./kernel_case.ts";

/**
 * Of any parameter's gradient, relative; and of any step's loss, absolute. With operands in f16 every product adds
 * about half of u = 2^-11, and some lie between the loss and the first weights.
 */
const BOUNDS = {
  f32: { gradient: 1e-5, loss: 1e-5 },
  f16: { gradient: 8 * 2 ** -11, loss: 2 * 2 ** -11 },
};

/** Models that reach every branch: one layer and several, every option, batches, clipping, every optimizer. */
const modelConfigs: { name: string; overrides: Partial<Config> }[] = [
  { name: "microgpt", overrides: {} },
  {
    name: "B 3, L 3, C 24, NH 3, T 6",
    overrides: { batch_size: 3, n_layer: 3, n_embd: 24, n_head: 3, block_size: 6 },
  },
  { name: "B 32", overrides: { batch_size: 32 } },
  {
    name: "B 2, C 10, NH 5, T 7, relu_squared, clipped, decayed",
    overrides: {
      batch_size: 2,
      n_embd: 10,
      n_head: 5,
      block_size: 7,
      activation: "relu_squared",
      grad_clip: 0.5,
      weight_decay: 0.1,
    },
  },
  { name: "T 1, NH 1", overrides: { block_size: 1, n_head: 1 } },
  {
    name: "B 2, NH 3, HS 4, H 50, final_norm",
    overrides: { batch_size: 2, n_head: 3, head_dim: 4, mlp_hidden: 50, final_norm: true },
  },
  {
    name: "muon, L 2, C 24, NH 3, T 6, relu_squared, clipped, decayed, 3 micro-batches",
    overrides: {
      optimizer: "muon",
      n_layer: 2,
      n_embd: 24,
      n_head: 3,
      block_size: 6,
      activation: "relu_squared",
      batch_size: 2,
      grad_accumulation: 3,
      grad_clip: 0.5,
      weight_decay: 0.1,
      warmup_steps: 3,
    },
  },
  {
    name: "gelu, B 2, T 5, C 9, NH 3, H 10, learned positions, gains, tied, softcap, dropout, 2 micro-batches",
    overrides: {
      batch_size: 2,
      grad_accumulation: 2,
      block_size: 5,
      n_embd: 9,
      n_head: 3,
      mlp_hidden: 10,
      activation: "gelu",
      norm_gain: true,
      tie_embeddings: true,
      logit_softcap: 3,
      dropout: 0.2,
    },
  },
  {
    name: "swiglu, B 3, L 2, T 7, C 15, NH 6, NKV 3, HS 4, H 11, rope, gains, qk_norm, tied, softcap, dropout, muon",
    overrides: {
      batch_size: 3,
      n_layer: 2,
      block_size: 7,
      n_embd: 15,
      n_head: 6,
      n_kv_head: 3,
      head_dim: 4,
      mlp_hidden: 11,
      activation: "swiglu",
      position: "rope",
      rope_theta: 100,
      norm_gain: true,
      final_norm: true,
      embedding_norm: false,
      qk_norm: true,
      tie_embeddings: true,
      logit_softcap: 5,
      dropout: 0.1,
      optimizer: "muon",
      grad_clip: 1,
      seed: 7, // with others a head of q or k may be short, and its norm magnify what f16 rounds
    },
  },
  {
    name: "sgd, clipped, decayed",
    overrides: { optimizer: "sgd", learning_rate: 0.1, grad_clip: 0.5, weight_decay: 0.1 },
  },
  {
    name: "adapters of rank 3 on all but k and up, swiglu, B 2, L 2, C 12, NH 4, NKV 2, HS 4, rope, gains, 2 micro-batches",
    overrides: {
      lora_rank: 3,
      lora_alpha: 4,
      lora_targets: "q,v,o,gate,down",
      batch_size: 2,
      grad_accumulation: 2,
      n_layer: 2,
      n_embd: 12,
      n_kv_head: 2,
      head_dim: 4,
      mlp_hidden: 14,
      activation: "swiglu",
      position: "rope",
      norm_gain: true,
      final_norm: true,
      embedding_norm: false,
      tie_embeddings: true,
    },
  },
];

/** All of them in f32, and where the device has f16, in f16 too. */
export function modelsFor(device: Device): typeof modelConfigs {
  const half = modelConfigs.map(({ name, overrides }) => ({
    name: `${name}, f16`,
    overrides: { ...overrides, dtype: "f16" as const },
  }));
  return device.features.includes("shader-f16") ? [...modelConfigs, ...half] : modelConfigs;
}

const documents = [
  "ada",
  "grace",
  "alan",
  "barbara",
  "edsger",
  "frances",
  "john",
  "a",
  "margaretehamilton",
];

function setUp(overrides: Partial<Config>) {
  const config = resolveConfig("microgpt", { num_steps: 12, ...overrides });
  const tokenizer = CharTokenizer.fromDocuments(documents);
  const dims = dimsOf(config, tokenizer.vocab_size);
  const random = new PythonRandom(config.seed);
  const weights = initialParameters(config, frozenDims(dims), random);
  return {
    config,
    dims,
    params: dims.adapters ? adaptersOf(dims, random) : weights,
    frozen: dims.adapters && weights,
    sequences: tokenizeDocuments(documents, tokenizer, config.block_size),
  };
}

/** Those that add something, so that all of them have gradients. */
function adaptersOf(dims: Dims, random: PythonRandom): Float64Array {
  const drawn = drawAdapters(new ParameterLayout(dims).slices, random);
  return drawn.map((value) => (value === 0 ? random.gauss(0, 0.1) : value));
}

/** The gradients of a model's first step, tensor by tensor: the worst one. */
export async function checkGradients(
  device: Device,
  name: string,
  overrides: Partial<Config>,
): Promise<CheckResult> {
  const { config, dims, params, frozen, sequences } = setUp(overrides);
  const { batches, num_targets } = microBatchesAt(sequences, 0, config);
  const reference = new ReferenceGpt(config, dims, params, frozen);
  const grads = new Float64Array(reference.grads.length);
  let [row, micro] = [0, 0];
  for (const batch of batches) {
    reference.forward(batch, { step: 0, row });
    row += batch.B;
    reference.loss({ ...batch, num_targets });
    reference.backward(batch);
    accumulate(grads, reference.grads, { size: grads.length, planes: 1, micro: micro++ });
  }
  const given = [config, dims, params, sequences, null, {}, frozen] as const;
  const trainer = await GpuTrainer.create(device, ...given);
  for await (const _ of trainer.run(1));
  const { layout, values } = await trainer.gradients();
  trainer.destroy();
  const allowed = BOUNDS[config.dtype].gradient;
  let worst = { error: 0, tensor: "" };
  layout.slices.forEach(({ name: tensor, offset, size }, i) => {
    const found = values.subarray(offset, offset + size);
    const first = reference.layout.slices[i].offset;
    const error = relativeError(found, grads.subarray(first, first + size));
    if (!(error <= worst.error)) worst = { error, tensor };
  });
  return {
    type: "check",
    kernel: "gradients",
    case: name,
    dtype: config.dtype,
    error: worst.error,
    allowed,
    pass: worst.error <= allowed,
    detail: `worst in ${worst.tensor}`,
  };
}

/** A short training run, step by step: the largest difference of any loss. */
export async function checkTraining(
  device: Device,
  name: string,
  overrides: Partial<Config>,
): Promise<CheckResult> {
  const { config, dims, params, frozen, sequences } = setUp(overrides);
  const given = [config, dims, params, sequences, null, {}, frozen] as const;
  const gpu = await GpuTrainer.create(device, ...given);
  const cpu = new CpuTrainer(config, dims, params.slice(), sequences, frozen);
  const expected = cpu.run(config.num_steps);
  const allowed = BOUNDS[config.dtype].loss;
  let error = 0;
  for await (const { loss } of gpu.run(config.num_steps)) {
    const { value } = await expected.next();
    const difference = Math.abs(loss - value!.loss);
    if (!(difference <= error)) error = difference;
  }
  gpu.destroy();
  return {
    type: "check",
    kernel: "training",
    case: `${name}, ${config.num_steps} steps`,
    dtype: config.dtype,
    error,
    allowed,
    pass: error <= allowed,
  };
}

/** What a model makes of texts, in slots with keys and values of its dtype. */
export function checkTexts(
  device: Device,
  name: string,
  overrides: Partial<Config>,
): Promise<CheckResult> {
  const { config, dims, params, frozen } = setUp(overrides);
  if (!frozen) return checkDecoding(device, name, { config, dims, params });
  const adapters = { layout: new ParameterLayout(dims), values: params };
  return checkDecoding(device, name, {
    config: mergedConfig(config),
    dims: frozenDims(dims),
    params: mergeAdapters(config, dims, frozen, adapters),
  });
}

/**
 * Every check in turn, or those whose kernel has `only` in its name.
 * @throws GpuError if the device fails
 */
export async function* certify(device: Device, only = ""): AsyncGenerator<CheckResult> {
  for (const check of checksOf(device, only)) yield check();
}

/** Before the first check: what a driver may die of is tried in another process, see tryMatrices(). */
export async function tryChecks(device: Device, only = ""): Promise<void> {
  await tryMatrices(device, () => {
    const cases = kernelCases().filter(({ kernel }) => kernel.includes(only));
    const variants = opsVariants(device);
    const steps = modelsFor(device).flatMap(({ overrides }) => {
      const { config, dims } = setUp(overrides);
      const { table, list } = planStep(device, config, dims);
      const layout = new ParameterLayout(frozenDims(dims), PARAMETER_ALIGNMENT);
      const sizes = { num_slots: 3, dtype: config.dtype };
      return [
        ...list(placeholders(table)),
        ...planTexts(device, mergedConfig(config), layout, sizes).dispatches,
      ];
    });
    return [
      ...cases.flatMap((test) => caseDispatches(test, variants).map(({ dispatch }) => dispatch)),
      ...steps,
    ];
  });
}

/** How many they are. */
export function countChecks(device: Device, only = ""): number {
  return checksOf(device, only).length;
}

function checksOf(device: Device, only: string): (() => Promise<CheckResult>)[] {
  const variants = opsVariants(device);
  const models = modelsFor(device);
  const ofModels = (check: typeof checkGradients, kernel: string) =>
    models.map(({ name, overrides }) => ({ kernel, run: () => check(device, name, overrides) }));
  return [
    ...kernelCases().map((test) => ({
      kernel: test.kernel,
      run: () => runCase(device, variants, test),
    })),
    ...ofModels(checkGradients, "gradients"),
    ...ofModels(checkTraining, "training"),
    ...ofModels(checkTexts, "decoding"),
  ]
    .filter(({ kernel }) => kernel.includes(only))
    .map(({ run }) => run);
}
