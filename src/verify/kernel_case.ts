// Runs one kernel on chosen inputs and compares every output with the reference.
//
// A kernel gets no chance to look right by accident: outputs are poisoned beforehand, every tensor lies
// between guard bands that must come back untouched, and inputs must come back as they were.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { type Dispatch, Schedule } from "../device/schedule.ts";
import { ALIGNMENT, type Tensor } from "../device/tensors.ts";
import type { GpuOps } from "../model/gpu_ops.ts";
import type { Ids, Values } from "../reference/ops.ts";
import { relativeError } from "./compare.ts";

interface Output {
  size: number;
  /** Largest relative error allowed. */
  allowed: number;
  /** What the kernel finds there; poison where absent. */
  initial?: Float32Array;
}

export interface KernelCase {
  /** The operation: rmsnorm_forward. */
  kernel: string;
  /** What is special about the case: its sizes, its values. */
  name: string;
  inputs: Record<string, Float32Array | Int32Array | Uint32Array>;
  outputs: Record<string, Output>;
  dispatch(ops: GpuOps, tensors: Record<string, Tensor>): Dispatch;
  /** Writes the outputs, in float64. */
  reference(outputs: Record<string, Float64Array>, inputs: ReferenceInputs): void;
}

/** Float inputs in float64, ids as they are. */
interface ReferenceInputs {
  values: Record<string, Values>;
  ids: Record<string, Ids>;
}

/** One row of a certificate. */
export interface CheckResult {
  type: "check";
  kernel: string;
  case: string;
  /** That a whole model was checked with; absent where a kernel was. */
  dtype?: Config["dtype"];
  /** The largest relative error of any output, as a share of what that output allows, times `allowed`. */
  error: number;
  allowed: number;
  pass: boolean;
  /** What went wrong, where the error alone does not say it. */
  detail?: string;
}

/**
 * What rounding a product's operands to f16 adds to the error allowed. Each operand is off by at most u = 2^-11 of
 * itself, so a term is off by 2u; terms with random signs keep that share of their sum, whatever its length. A
 * square as epilogue doubles it.
 */
const HALF_BOUND = 4 * 2 ** -11;

/** A NaN that no arithmetic makes. */
const POISON = 0x7fc0dead;
/** Another around inputs: what is read there by mistake and passed on is not taken for poison. */
const INPUT_GUARD = 0x7fc0beef;
const GUARD = ALIGNMENT; // bytes before and after a tensor

interface Guarded {
  tensor: Tensor;
  /** What the whole buffer held before the kernel ran. */
  before: Uint32Array<ArrayBuffer>;
}

function guard(device: Device, name: string, size: number, values?: ArrayBufferView): Guarded {
  const bytes = size * 4;
  const around = values ? INPUT_GUARD : POISON;
  const before = new Uint32Array((GUARD * 2 + bytes) / 4).fill(around);
  if (values) {
    before.set(new Uint32Array(values.buffer, values.byteOffset, size), GUARD / 4);
  }
  const { STORAGE, UNIFORM, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const buffer = device.gpu.createBuffer({
    label: name,
    size: before.byteLength,
    usage: STORAGE | UNIFORM | COPY_SRC | COPY_DST,
  });
  device.gpu.queue.writeBuffer(buffer, 0, before);
  // The guard behind is bound too: where bounds are enforced, a write past a tensor's end that the
  // binding did not reach would be bent back into it.
  return {
    tensor: { name, shape: [size], buffer, offset: GUARD, size: bytes + GUARD },
    before,
  };
}

/**
 * Runs the case on every kernel that serves it in one of the variants; the worst result counts.
 * @throws GpuError if the device fails
 */
export async function runCase(
  device: Device,
  variants: readonly GpuOps[],
  test: KernelCase,
): Promise<CheckResult> {
  const results = new Map<string, CheckResult>();
  for (const ops of variants) {
    const guarded = guardAll(device, test);
    const dispatch = test.dispatch(ops, tensorsOf(guarded));
    const { kernel, constants } = dispatch;
    const tuned = `${kernel} ${JSON.stringify(constants)}`;
    if (!results.has(tuned)) {
      const rounding = kernel === "matmul_matrix" ? HALF_BOUND : 0;
      results.set(tuned, judge(test, guarded, await run(device, dispatch, guarded), rounding));
    }
    for (const { tensor } of Object.values(guarded)) tensor.buffer.destroy();
  }
  return [...results.values()].reduce((worst, result) =>
    result.error / result.allowed > worst.error / worst.allowed ? result : worst,
  );
}

function guardAll(device: Device, test: KernelCase): Record<string, Guarded> {
  const guarded: Record<string, Guarded> = {};
  for (const [name, values] of Object.entries(test.inputs)) {
    guarded[name] = guard(device, name, values.length, values);
  }
  for (const [name, { size, initial }] of Object.entries(test.outputs)) {
    guarded[name] = guard(device, name, size, initial);
  }
  return guarded;
}

function tensorsOf(guarded: Record<string, Guarded>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(guarded).map(([name, { tensor }]) => [name, tensor]));
}

/** What every buffer holds after the dispatch, guards included. */
async function run(device: Device, dispatch: Dispatch, guarded: Record<string, Guarded>) {
  const schedule = await Schedule.create(device, [dispatch]);
  const encoder = device.gpu.createCommandEncoder();
  schedule.encode(encoder);
  device.gpu.queue.submit([encoder.finish()]);
  const after: Record<string, Uint32Array<ArrayBuffer>> = {};
  for (const [name, { tensor, before }] of Object.entries(guarded)) {
    after[name] = new Uint32Array(await device.read(tensor.buffer, 0, before.byteLength));
  }
  schedule.destroy();
  return after;
}

function judge(
  test: KernelCase,
  guarded: Record<string, Guarded>,
  after: Record<string, Uint32Array<ArrayBuffer>>,
  rounding: number,
): CheckResult {
  const expected = expectedOutputs(test);
  const row = { type: "check", kernel: test.kernel, case: test.name } as const;
  let worst = { error: 0, allowed: Object.values(test.outputs)[0].allowed + rounding };
  for (const [name, { before }] of Object.entries(guarded)) {
    const output: Output | undefined = test.outputs[name];
    const first = GUARD / 4;
    const end = before.length - first;
    const changed = before.findIndex((bits, i) => {
      const guards = i < first || i >= end;
      return (guards || !output) && after[name][i] !== bits;
    });
    if (changed >= 0) {
      const detail = `wrote to ${name}[${changed - first}], which is not its to write`;
      return { ...row, error: Infinity, allowed: worst.allowed, pass: false, detail };
    }
    if (!output) continue;
    const allowed = output.allowed + rounding;
    const missed = after[name].subarray(first, end).indexOf(POISON);
    if (missed >= 0) {
      const detail = `did not write ${name}[${missed}]`;
      return { ...row, error: Infinity, allowed, pass: false, detail };
    }
    const found = new Float32Array(after[name].buffer, GUARD, output.size);
    const error = relativeError(found, expected[name]);
    if (error / allowed > worst.error / worst.allowed) worst = { error, allowed };
  }
  return { ...row, ...worst, pass: worst.error <= worst.allowed };
}

function expectedOutputs(test: KernelCase): Record<string, Float64Array> {
  const inputs: ReferenceInputs = { values: {}, ids: {} };
  for (const [name, values] of Object.entries(test.inputs)) {
    if (values instanceof Int32Array) inputs.ids[name] = values;
    else inputs.values[name] = Float64Array.from(values);
  }
  const outputs: Record<string, Float64Array> = {};
  for (const [name, { size, initial }] of Object.entries(test.outputs)) {
    outputs[name] = initial ? Float64Array.from(initial) : new Float64Array(size).fill(NaN);
  }
  test.reference(outputs, inputs);
  return outputs;
}
