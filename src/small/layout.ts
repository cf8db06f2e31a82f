// The parameters of a model that one workgroup trains: rows of an odd length.

import { type Dims, ParameterLayout } from "../model/parameters.ts";

/** A matrix of parameters. */
export interface Matrix {
  /** Its first element in the layout. */
  first: number;
  /** Elements from one row to the next. */
  row: number;
  OC: number;
  IC: number;
}

/**
 * Every row of every matrix has an odd length, so that threads that read a column of workgroup memory
 * meet no bank twice. What pads a row stays 0.
 */
export class SmallLayout {
  /** Elements of one model. */
  readonly size: number;
  /** The table's order without gaps. */
  readonly flat: ParameterLayout;
  /** By the slices' order. */
  private readonly matrices: Matrix[];

  constructor(dims: Dims) {
    this.flat = new ParameterLayout(dims);
    let end = 0;
    this.matrices = this.flat.slices.map(({ shape: [OC, IC = 1] }) => {
      const matrix = { first: end, row: rowLength(IC), OC, IC };
      end += OC * matrix.row;
      return matrix;
    });
    this.size = end;
  }

  /** A matrix of the parameter table, or `layer<l>.attn_wqkv`: a layer's q, k and v as one. */
  matrix(name: string): Matrix {
    const fused = name.endsWith("attn_wqkv");
    const i = this.flat.slices.findIndex(
      (slice) => slice.name === (fused ? name.replace("qkv", "q") : name),
    );
    const matrix = this.matrices[i];
    return fused ? { ...matrix, OC: 3 * matrix.OC } : matrix;
  }

  /** Calls back with the place of every parameter in the flat array and in this layout. */
  private each(move: (flat: number, small: number) => void): void {
    this.flat.slices.forEach(({ offset }, i) => {
      const { first, row, OC, IC } = this.matrices[i];
      for (let o = 0; o < OC; o++) {
        for (let c = 0; c < IC; c++) move(offset + o * IC + c, first + o * row + c);
      }
    });
  }

  /** Fills `out` (size) with parameters that are flat, in the table's order without gaps. */
  pack<A extends Float32Array | Float64Array>(values: ArrayLike<number>, out: A): A {
    this.each((flat, small) => {
      out[small] = values[flat];
    });
    return out;
  }

  /** The reverse of pack(). */
  unpack<A extends Float32Array | Float64Array>(small: ArrayLike<number>, out: A): A {
    this.each((flat, place) => {
      out[flat] = small[place];
    });
    return out;
  }
}

/** The next odd number, or the same. */
export function rowLength(columns: number): number {
  return columns | 1;
}
