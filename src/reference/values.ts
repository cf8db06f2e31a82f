// What the reference computes with.

/** Values in float64, or float32 ones that are read as such. */
export type Values = Float64Array | Float32Array;
export type Ids = Int32Array;
