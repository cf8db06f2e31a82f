// Blocks of a stream that are held out: drawn by the seed, all over the text, so that its end is no different from what
// a model is trained on.

import { PythonRandom } from "../random.ts";
import { identity } from "./documents.ts";

/** Windows of a block at most: enough that its ends are a small part of it. */
const MOST_WINDOWS = 16;

/** From where to where a part of a stream goes, the end not included. */
export type Segment = readonly [start: number, end: number];

/**
 * @param length tokens of the stream
 * @param held tokens to hold out, at least one window, as is the rest
 * @param window tokens of a window, block_size and the one after it
 * @returns what is held out and what is trained on, each in the order of the text
 */
export function drawBlocks(
  length: number,
  held: number,
  { window, seed }: { window: number; seed: number },
): { held: Segment[]; rest: Segment[] } {
  const size = Math.max(window, Math.min(held, length - held, MOST_WINDOWS * window));
  const count = Math.floor(length / size); // the last one has what is over
  const order = identity(count);
  new PythonRandom(seed).shuffle(order);
  const drawn = Math.min(count - 1, Math.max(1, Math.round(held / size)));
  const isHeld = new Set(order.subarray(0, drawn));
  const parts = { held: [] as Segment[], rest: [] as Segment[] };
  for (let block = 0; block < count; block++) {
    const list = isHeld.has(block) ? parts.held : parts.rest;
    const start = block * size;
    const end = block === count - 1 ? length : start + size;
    const before = list.at(-1);
    // Neighbours are one segment, or windows could not go across.
    if (before?.[1] === start) list[list.length - 1] = [before[0], end];
    else list.push([start, end]);
  }
  return parts;
}
