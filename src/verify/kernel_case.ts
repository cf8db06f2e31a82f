// Runs one kernel on chosen inputs and compares every output with the reference.
//
// A kernel gets no chance to look right by accident: outputs are poisoned beforehand, every tensor lies
// between guard bands that must come back untouched, and inputs must come back as they were.

import { isHalf } from "../choices.ts";
import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { fromHalves, toHalves } from "../device/half.ts";
import { type Dispatch, foldGrid, Schedule } from "../device/schedule.ts";
import { ALIGNMENT, type Tensor, widthOf } from "../device/tensors.ts";
import type { GpuOps } from "../model/gpu_ops.ts";
import type { Ids, Values } from "../reference/ops.ts";
import { relativeError } from "./compare.ts";

type Numbers = Float32Array | Int32Array | Uint32Array;

interface Output {
  size: number;
  /** Largest relative error allowed. */
  allowed: number;
  /** Whether what matrix units round has no part in it. */
  unrounded?: boolean;
  /** What the kernel finds there; poison where absent. */
  initial?: Numbers;
  /** Whether it holds integers. */
  integers?: boolean;
}

/** Draws normal values; float32, as both sides read them. */
export type Normal = (size: number, std?: number) => Float32Array;

export interface KernelCase {
  /** The operation: rmsnorm_forward. */
  kernel: string;
  /** What is special about the case: its sizes, its values. */
  name: string;
  /** Its place among the operation's cases, from 0. */
  place?: number;
  inputs: Record<string, Numbers>;
  outputs: Record<string, Output>;
  /** With dtype f16: the tensors that then hold f16, in each of the places that the operation has in a step. */
  half?: string[][];
  /** Workgroups along x at most, so that a grid that no device takes in one row is met with small shapes too. */
  most?: number;
  /** Dispatches at most that it is made in, as where one would take too long. */
  parts?: number;
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

/** How a case is run: by which kernels, and on tensors of which type. */
export interface Variant {
  ops: GpuOps;
  dtype: "f32" | "f16";
  /** Runs one in so many of an operation's cases, and each in one place of a step; all where absent. */
  every?: number;
}

/** The tensors that hold f16, for each time that a case is run by a variant. */
export function halvesOf(
  { half = [], place = 0 }: KernelCase,
  { dtype, every }: Variant,
): readonly (readonly string[])[] {
  if (every !== undefined && place % every > 0) return [];
  const places = isHalf(dtype) ? half : [[]];
  return every === undefined ? places : places.slice(0, 1);
}

/**
 * What f16 adds to the error allowed, in unit roundoffs u = 2^-11. An output that is stored in f16 is off by u of
 * itself. Where matrix units multiply, operands that came in f32 are rounded, each by u of itself, so a term is off
 * by 2u; terms with random signs keep that share of their sum, whatever its length. A square as epilogue doubles it.
 * Of attention's operands one in each product comes in f32, p or dscore.
 */
const HALF_ROUNDOFF = 2 ** -11;
const STORED = 1;
const OPERANDS = 4;
const WEIGHTS = 1;

/** A NaN that no arithmetic makes, in f32 and in both halves of the word in f16. */
const POISON = 0x7fce7fce;
/** Another around inputs: what is read there by mistake and passed on is not taken for poison. */
const INPUT_GUARD = 0x7fdd7fdd;
const GUARD = ALIGNMENT; // bytes before and after a tensor

interface Guarded {
  tensor: Tensor;
  /** What the whole buffer held before the kernel ran. */
  before: Uint16Array<ArrayBuffer>;
}

function guard(
  device: Device,
  name: string,
  size: number,
  half: boolean,
  values?: Numbers,
): Guarded {
  const dtype = half ? "f16" : undefined;
  const bytes = Math.ceil((size * widthOf({ dtype })) / 4) * 4;
  const before = new Uint16Array((GUARD * 2 + bytes) / 2).fill(
    (values ? INPUT_GUARD : POISON) & 0xffff,
  );
  if (values) {
    const held = half ? toHalves(values) : values;
    before.set(new Uint16Array(held.buffer, held.byteOffset, held.byteLength / 2), GUARD / 2);
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
    tensor: { name, shape: [size], dtype, buffer, offset: GUARD, size: bytes + GUARD },
    before,
  };
}

/**
 * Runs the case on every kernel that serves it in one of the variants; the worst result counts.
 * @throws GpuError if the device fails
 */
export async function runCase(
  device: Device,
  variants: readonly Variant[],
  test: KernelCase,
): Promise<CheckResult> {
  const results = new Map<string, CheckResult>();
  for (const variant of variants) {
    const { ops } = variant;
    for (const half of halvesOf(test, variant)) {
      const guarded = guardAll(device, test, half);
      const dispatch = test.dispatch(ops, tensorsOf(guarded));
      const { kernel, constants } = dispatch;
      const tuned = `${kernel} ${JSON.stringify([constants, half])}`;
      if (!results.has(tuned)) {
        const after = await run(device, partsOf(test, dispatch), guarded);
        results.set(tuned, judge(test, guarded, after, roundingsOf(kernel)));
      }
      for (const { tensor } of Object.values(guarded)) tensor.buffer.destroy();
    }
  }
  return [...results.values()].reduce((worst, result) =>
    result.error / result.allowed > worst.error / worst.allowed ? result : worst,
  );
}

function partsOf({ most, parts }: KernelCase, dispatch: Dispatch): Dispatch[] {
  const [count, ...rest] = dispatch.grid;
  if (parts !== undefined && dispatch.work) return dispatch.work.parts(parts);
  return most !== undefined && rest.every((n) => n === 1)
    ? [{ ...dispatch, grid: foldGrid(count, most) }]
    : [dispatch];
}

/** Of its operands, in f16. */
function roundingsOf(kernel: string): number {
  if (!kernel.endsWith("_matrix")) return 0;
  return kernel.startsWith("attention") ? WEIGHTS : OPERANDS;
}

function guardAll(
  device: Device,
  test: KernelCase,
  half: readonly string[],
): Record<string, Guarded> {
  const guarded: Record<string, Guarded> = {};
  for (const [name, values] of Object.entries(test.inputs)) {
    guarded[name] = guard(device, name, values.length, half.includes(name), values);
  }
  for (const [name, { size, initial }] of Object.entries(test.outputs)) {
    guarded[name] = guard(device, name, size, half.includes(name), initial);
  }
  return guarded;
}

function tensorsOf(guarded: Record<string, Guarded>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(guarded).map(([name, { tensor }]) => [name, tensor]));
}

/** What every buffer holds after the dispatches, guards included. */
async function run(
  device: Device,
  dispatches: readonly Dispatch[],
  guarded: Record<string, Guarded>,
) {
  const schedule = await Schedule.create(device, dispatches);
  const encoder = device.gpu.createCommandEncoder();
  schedule.encode(encoder);
  device.gpu.queue.submit([encoder.finish()]);
  const after: Record<string, Uint16Array<ArrayBuffer>> = {};
  for (const [name, { tensor, before }] of Object.entries(guarded)) {
    after[name] = new Uint16Array(await device.read(tensor.buffer, 0, before.byteLength));
  }
  schedule.destroy();
  return after;
}

function judge(
  test: KernelCase,
  guarded: Record<string, Guarded>,
  after: Record<string, Uint16Array<ArrayBuffer>>,
  roundings: number,
): CheckResult {
  const expected = expectedOutputs(test, guarded);
  const row = { type: "check", kernel: test.kernel, case: test.name } as const;
  let worst: { error: number; allowed: number } | undefined;
  for (const [name, { before, tensor }] of Object.entries(guarded)) {
    const output: Output | undefined = test.outputs[name];
    const first = GUARD / 2;
    const end = first + (tensor.shape[0] * widthOf(tensor)) / 2;
    const width = widthOf(tensor) / 2;
    const element = (i: number) => Math.floor((i - first) / width);
    const stored = tensor.dtype === "f16" ? STORED : 0;
    const rounded = output?.unrounded ? 0 : roundings;
    const allowed = (output?.allowed ?? 0) + (rounded + stored) * HALF_ROUNDOFF;
    const changed = before.findIndex((bits, i) => {
      const guards = i < first || i >= end;
      return (guards || !output) && after[name][i] !== bits;
    });
    if (changed >= 0) {
      const detail = `wrote to ${name}[${element(changed)}], which is not its to write`;
      return { ...row, error: Infinity, allowed, pass: false, detail };
    }
    if (!output) continue;
    const missed = missedElement(after[name].subarray(first, end), width);
    if (missed >= 0) {
      const detail = `did not write ${name}[${missed}]`;
      return { ...row, error: Infinity, allowed, pass: false, detail };
    }
    const error = relativeError(numbersOf(tensor, after[name], output.integers), expected[name]);
    if (!worst || error / allowed > worst.error / worst.allowed) worst = { error, allowed };
  }
  const { error, allowed } = worst!;
  return { ...row, error, allowed, pass: error <= allowed };
}

/** The first element whose bits are all poison, or -1. */
function missedElement(halves: Uint16Array, width: number): number {
  for (let i = 0; i < halves.length; i += width) {
    if (halves.subarray(i, i + width).every((bits) => bits === (POISON & 0xffff))) return i / width;
  }
  return -1;
}

/** The numbers of a tensor, from all that its buffer holds. */
function numbersOf(tensor: Tensor, { buffer }: Uint16Array<ArrayBuffer>, integers = false) {
  const [size] = tensor.shape;
  if (integers) return new Uint32Array(buffer, GUARD, size);
  return tensor.dtype === "f16"
    ? fromHalves(new Uint16Array(buffer, GUARD, size))
    : new Float32Array(buffer, GUARD, size);
}

/** Of the inputs as the device holds them: where they are f16, after that rounding. */
function expectedOutputs(
  test: KernelCase,
  guarded: Record<string, Guarded>,
): Record<string, Float64Array> {
  const inputs: ReferenceInputs = { values: {}, ids: {} };
  const held = (name: string, integers?: boolean) =>
    numbersOf(guarded[name].tensor, guarded[name].before, integers);
  for (const [name, values] of Object.entries(test.inputs)) {
    if (values instanceof Int32Array) inputs.ids[name] = values;
    else if (values instanceof Uint32Array) inputs.values[name] = Float64Array.from(values);
    else inputs.values[name] = Float64Array.from(held(name));
  }
  const outputs: Record<string, Float64Array> = {};
  for (const [name, { size, initial, integers }] of Object.entries(test.outputs)) {
    outputs[name] = initial
      ? Float64Array.from(held(name, integers))
      : new Float64Array(size).fill(NaN);
  }
  test.reference(outputs, inputs);
  return outputs;
}
