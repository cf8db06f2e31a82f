// Which models of a sweep are trained together: those of one shape that fit a workgroup, as many as memory allows.

import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { type Dims, dimsOf } from "../model/parameters.ts";
import { SmallLayout } from "../model/small_layout.ts";
import type { SmallTuning } from "../model/small_ops.ts";
import { tokenizeDocuments } from "../text/batches.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { chooseSmall } from "./choose_trainer.ts";

/** Models of a group at most: enough to fill a large GPU several times, few enough to see progress. */
const MOST_MODELS = 4096;
/** On a software GPU a step of so many takes some milliseconds. */
const MOST_MODELS_SOFTWARE = 128;
/** Bytes of a tensor at most: it is drawn and kept in main memory too. */
const MOST_BYTES = 2 ** 27;

interface Group {
  dims: Dims;
  /** How one workgroup trains each of them; undefined for a model that is trained by itself. */
  tuning: SmallTuning | undefined;
  /** Among the configs. */
  indices: number[];
  /** In the order of the text. */
  sequences: readonly Int32Array[];
}

/** @param device undefined for the CPU */
export function planSweep(
  device: Device | undefined,
  configs: readonly Config[],
  tokenizer: Tokenizer,
  documents: readonly string[],
): Group[] {
  const shapes = Map.groupBy(configs.keys(), (index) => shapeKey(configs[index]));
  const tokenized = new Map<number, Int32Array[]>();
  return [...shapes.values()].flatMap((indices): Group[] => {
    const config = configs[indices[0]];
    const { block_size } = config;
    const dims = dimsOf(config, tokenizer.vocab_size);
    if (!tokenized.has(block_size)) {
      tokenized.set(block_size, tokenizeDocuments(documents, tokenizer, block_size));
    }
    const sequences = tokenized.get(block_size)!;
    const tuning = device && chooseSmall(device, config, dims, sequences, indices.length);
    const size = tuning ? groupSize(device!, dims, documents.length) : 1;
    return Array.from({ length: Math.ceil(indices.length / size) }, (_, g) => ({
      dims,
      tuning,
      indices: indices.slice(g * size, (g + 1) * size),
      sequences,
    }));
  });
}

/** What models of a group have in common: the sizes of their tensors, and what decides whether they fit. */
function shapeKey({ n_layer, n_embd, n_head, block_size, batch_size }: Config): string {
  return [n_layer, n_embd, n_head, block_size, batch_size].join();
}

function groupSize({ lanes, gpu }: Device, dims: Dims, docs: number): number {
  const { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupsPerDimension } =
    gpu.limits;
  const bytes = 8 * Math.max(new SmallLayout(dims).size, docs); // Adam's moments; an order of documents
  const room = Math.min(maxStorageBufferBindingSize, maxBufferSize, MOST_BYTES);
  const most = lanes < 16 ? MOST_MODELS_SOFTWARE : MOST_MODELS;
  return Math.max(1, Math.min(most, maxComputeWorkgroupsPerDimension, Math.floor(room / bytes)));
}
