// From the last stream to logits, losses and both gradients, in chunks of rows: of a large vocabulary the logits of a
// whole batch would take more memory than all else. Where one chunk holds all rows, nothing is added up.

import type { Device } from "../device/device.ts";
import type { Dispatch } from "../device/schedule.ts";
import { sliceTensor, type Tensor } from "../device/tensors.ts";
import type { GpuGpt } from "./gpu_gpt.ts";
import type { Dims } from "./parameters.ts";

/** Bytes that logits take at a time, where their weight takes no more: what every WebGPU can bind. */
const LOGIT_BYTES = 2 ** 27;
/** Rows at whose multiples a chunk begins: 256 bytes of losses, and of a stream in f16, as WebGPU wants of a binding. */
const STEP = 128;
/** An absurd batch makes no endless list; its logits do not fit. */
const MOST_CHUNKS = 1024;

/**
 * Of N rows those whose logits are made at a time: all, or as many as take 128 MiB, or what their weight takes, in shares
 * that are nearly alike.
 * @param device absent where it is not known; no GPU has less than is reckoned with
 */
export function chunkRows(
  { V, C }: Pick<Dims, "V" | "C">,
  N: number,
  device?: Pick<Device, "gpu">,
): number {
  const { maxBufferSize = Infinity, maxStorageBufferBindingSize = Infinity } =
    device?.gpu.limits ?? {};
  const limit = Math.min(maxBufferSize, maxStorageBufferBindingSize);
  const bytes = Math.min(Math.max(LOGIT_BYTES, 4 * V * C), limit);
  const most = Math.floor(bytes / 4 / V);
  if (N <= most) return N;
  const full = Math.max(Math.floor(most / STEP), 1) * STEP;
  const count = Math.min(Math.ceil(N / full), MOST_CHUNKS);
  return Math.min(Math.ceil(N / count / STEP) * STEP, N);
}

/** Rows of a table that can be bound at once, where it is frozen: all, or some at whose multiples a binding may start. */
export function tablePieces(
  { gpu }: Pick<Device, "gpu">,
  { V, C, adapters }: Pick<Dims, "V" | "C" | "adapters">,
  half: boolean,
): Chunk[] {
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.limits;
  const limit = Math.min(maxBufferSize, maxStorageBufferBindingSize);
  const most = Math.floor(limit / (C * (half ? 2 : 4)));
  if (!adapters || V <= most) return [{ first: 0, count: V }];
  const rows = Math.max(Math.floor(most / STEP), 1) * STEP;
  return Array.from({ length: Math.ceil(V / rows) }, (_, i) => {
    const first = i * rows;
    return { first, count: Math.min(rows, V - first) };
  });
}

type Model = Omit<GpuGpt, "grads" | "scaler" | "params">;

interface Chunk {
  first: number;
  count: number;
}

/** The rows of every chunk. */
export function chunksOf({ B, dims, tensors }: Pick<Model, "B" | "dims" | "tensors">): Chunk[] {
  const [N, rows] = [B * dims.T, tensors.logits.shape[0]];
  return Array.from({ length: Math.ceil(N / rows) }, (_, i) => {
    const first = i * rows;
    return { first, count: Math.min(rows, N - first) };
  });
}

/** Logits, which have no cap yet, of a chunk. */
export function logitsOf(gpt: Model, chunk: Chunk): Dispatch {
  const { ops, dims, tensors: t } = gpt;
  const { C, V } = dims;
  const inp = rowsOf(lastStream(gpt).last, chunk);
  const logits = rowsOf(t.logits, { ...chunk, first: 0 });
  return ops.matmulForward(logits, inp, headOf(gpt), { N: chunk.count, C, OC: V });
}

/**
 * Targets (B, T) to the losses (B, T), and where there are gradients to those of the last stream and of the weight.
 * Logits and their gradient are a chunk's, one after the other in the same place.
 */
export function classifierList(
  gpt: Model & Pick<GpuGpt, "scaler"> & Partial<Pick<GpuGpt, "grads">>,
  targets: Tensor,
  step_data: Tensor,
): Dispatch[] {
  const { ops, config, dims, layout, tensors: t, scaler, grads, frozen } = gpt;
  const { C, V } = dims;
  const { last, dlast } = lastStream(gpt);
  const chunks = chunksOf(gpt);
  return chunks.flatMap((chunk) => {
    const { first, count: N } = chunk;
    const logits = rowsOf(t.logits, { ...chunk, first: 0 });
    const [{ count: piece }] = headsOf(gpt);
    const sizes = { N, V, softcap: config.logit_softcap, piece };
    const [losses, wanted] = [rowsOf(t.losses, chunk), rowsOf(targets, chunk)];
    const list = [
      ...logitsInPieces(gpt, chunk),
      ops.crossEntropy(losses, logits, wanted, step_data, scaler, sizes),
    ];
    if (!grads) return list;
    const [inp, dinp] = [rowsOf(last, chunk), rowsOf(dlast, chunk)];
    if (frozen) return [...list, ...frozenHeadBackward(gpt, chunk, dinp)];
    const dhead = sliceTensor(grads, layout.across("head", grads.shape[0]));
    const linear = { N, C, OC: V, plane: layout.size };
    const added = chunks.length > 1 ? { ...linear, splits: 1, add: first > 0 } : linear;
    return [...list, ops.matmulBackward(dinp, dhead, logits, inp, headOf(gpt), added)];
  });
}

/** The stream (N, C) that the logits are made of, and where its gradient goes. */
function lastStream({ config, dims, tensors: t }: Model) {
  if (config.final_norm) return { last: t.lnf, dlast: t.dln };
  return { last: dims.L > 0 ? t[`layer${dims.L - 1}.x`] : t.x, dlast: t.dx };
}

function headOf({ weights, layout, frozen }: Model): Tensor {
  const from = frozen ?? { weights, layout };
  return sliceTensor(from.weights, from.layout.slice("head"));
}

/** The head in pieces that can be bound, which make as many pieces of the logits, all rows of one after the other. */
function headsOf(gpt: Model): (Chunk & { weight: Tensor })[] {
  const { ops, dims } = gpt;
  const head = headOf(gpt);
  const pieces = tablePieces(ops.device, dims, head.dtype === "f16");
  return pieces.map((piece) => ({ ...piece, weight: rowsOf(head, piece) }));
}

/** A piece of the logits of a chunk. */
function pieceOf({ tensors: t }: Model, { count: N }: Chunk, { first, count }: Chunk): Tensor {
  const slice = { name: "logits", shape: [N, count], offset: N * first, size: N * count };
  return sliceTensor(t.logits, slice);
}

function logitsInPieces(gpt: Model, chunk: Chunk): Dispatch[] {
  const { ops, dims } = gpt;
  const heads = headsOf(gpt);
  if (heads.length === 1) return [logitsOf(gpt, chunk)];
  const inp = rowsOf(lastStream(gpt).last, chunk);
  return heads.map(({ weight, ...piece }) => {
    const sizes = { N: chunk.count, C: dims.C, OC: piece.count };
    return ops.matmulForward(pieceOf(gpt, chunk, piece), inp, weight, sizes);
  });
}

/** dinp of a chunk, summed piece by piece: in its own place and another in turn, so that the last sum is in its own. */
function frozenHeadBackward(gpt: Model, chunk: Chunk, dinp: Tensor): Dispatch[] {
  const { ops, dims, tensors: t } = gpt;
  const heads = headsOf(gpt);
  const other = t.dlast && rowsOf(t.dlast, { ...chunk, first: 0 });
  return heads.map(({ weight, ...piece }, i) => {
    const left = heads.length - 1 - i;
    const [to, from] = left % 2 === 0 ? [dinp, other] : [other, dinp];
    const sizes = { N: chunk.count, C: dims.C, OC: piece.count };
    const logits = pieceOf(gpt, chunk, piece);
    return i === 0
      ? ops.matmulBackwardInput(to, logits, weight, sizes)
      : ops.matmulResidualBackwardInput(to, from, logits, weight, sizes);
  });
}

/** Some of a tensor's rows; itself where that is all. */
export function rowsOf(tensor: Tensor, { first, count }: Chunk): Tensor {
  const [rows, ...rest] = tensor.shape;
  if (count === rows) return tensor;
  const width = rest.reduce((product, size) => product * size, 1);
  const { name } = tensor;
  const slice = { name, shape: [count, ...rest], offset: first * width, size: count * width };
  return sliceTensor(tensor, slice);
}
