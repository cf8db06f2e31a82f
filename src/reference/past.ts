// Keys and values of the positions of a text that were read: all that the forward pass of the next ones needs of them.

import type { Dims } from "../model/parameters.ts";
import type { Turns } from "../model/turns.ts";
import { turn } from "./heads.ts";

export class Past {
  /** Positions that it holds. */
  length = 0;
  private readonly dims: Dims;
  /** By layer (room, 2·NKV·HS): of each position the keys, as they are after norm and turn, then the values. */
  private readonly layers: Float64Array[];

  private readonly turns: Turns | undefined;

  constructor(dims: Dims, turns: Turns | undefined) {
    this.dims = dims;
    this.turns = turns;
    this.layers = Array.from({ length: dims.L }, () => new Float64Array(0));
  }

  /** Numbers of a position in a layer. */
  private get row(): number {
    return 2 * this.dims.NKV * this.dims.HS;
  }

  /** Puts the keys and values of `count` rows of a layer's heads behind those that it holds; they count with `length`. */
  put(l: number, heads: Float64Array, count: number): Float64Array {
    const { NH, HS } = this.dims;
    const { row, length } = this;
    const size = (length + count) * row;
    if (size > this.layers[l].length) {
      const larger = new Float64Array(Math.max(size, 2 * this.layers[l].length));
      larger.set(this.layers[l].subarray(0, length * row));
      this.layers[l] = larger;
    }
    const values = this.layers[l];
    for (let n = 0; n < count; n++) {
      const first = n * (NH * HS + row) + NH * HS;
      for (let c = 0; c < row; c++) values[(length + n) * row + c] = heads[first + c];
    }
    return values;
  }

  /**
   * Lets `count` positions from `first` on go. Those behind them take their places, and what was read stays but for the
   * keys' turns; where positions are learned, it goes too, and they are to be read anew.
   */
  forget(first: number, count: number): void {
    const { NKV, HS } = this.dims;
    const { row, length, turns } = this;
    if (turns === undefined) {
      this.length = first;
      return;
    }
    for (const values of this.layers) {
      values.copyWithin(first * row, (first + count) * row, length * row);
      for (let t = first; t < length - count; t++) {
        for (let h = 0; h < NKV; h++) turn(values, t * row + h * HS, HS, turns, count, -1);
      }
    }
    this.length -= count;
  }
}
