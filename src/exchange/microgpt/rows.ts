// Weights as JSON, as microgpt's children have them: by name, each a list of rows of numbers.

import { checkFinite } from "../../files/model_files.ts";
import { GET_AGAIN } from "../folder.ts";
import type { ParameterLayout, Slice } from "../../model/parameters.ts";
import type { Model } from "../../files/model_files.ts";
import { show } from "../../strict_json.ts";
import type { Json } from "../folder.ts";
import { gatherParameters } from "../llama_tensors.ts";
import { bad } from "./meta.ts";

/** The object of all weights as text, a tensor at a time. */
export function* weightsText({ layout, values }: Model): Generator<string> {
  for (const [i, slice] of layout.slices.entries()) {
    checkFinite(values.subarray(slice.offset, slice.offset + slice.size), slice.name, "The model");
    yield `${i === 0 ? "{" : ","}\n${JSON.stringify(slice.name)}: ${rowsText(slice, values)}`;
  }
  yield "\n}";
}

function rowsText({ shape, offset }: Slice, values: ArrayLike<number>): string {
  const [rows, columns] = shape.length === 2 ? shape : [1, ...shape];
  const lines: string[] = [];
  for (let r = 0; r < rows; r++) {
    const row: string[] = [];
    for (let c = 0; c < columns; c++) row.push(numberText(values[offset + r * columns + c]));
    lines.push(`[${row.join(", ")}]`);
  }
  return `[${lines.join(",\n")}]`;
}

/** As JSON, which knows -0 by a point alone. */
const numberText = (x: number) => (Object.is(x, -0) ? "-0.0" : String(x));

/**
 * The weights of a model from such an object.
 * @throws ModelFileError if they are not those of the layout, or not finite numbers
 */
export function readRows(weights: Json, layout: ParameterLayout, source: string): Float32Array {
  const tensors = new Map(
    Object.entries(weights).map(([name, rows]) => [name, tensorOf(name, rows, source)]),
  );
  const wanted = layout.slices.map((slice) => ({ name: slice.name, slice }));
  return gatherParameters(layout, tensors, wanted, source, ({ rows }, into, name) => {
    let at = 0;
    for (const row of rows) for (const value of row) into[at++] = value;
    checkFinite(into, name, source, Infinity, GET_AGAIN);
  });
}

function tensorOf(name: string, rows: unknown, source: string) {
  const isRow = (row: unknown): row is number[] =>
    Array.isArray(row) && row.every((value) => typeof value === "number");
  if (!Array.isArray(rows) || rows.length === 0 || !rows.every(isRow)) {
    throw bad(source, `has ${show(rows)} as ${show(name)}, and rows of numbers are needed`);
  }
  const [{ length }] = rows;
  const other = rows.findIndex((row) => row.length !== length);
  if (other < 0) return { shape: [rows.length, length], rows };
  throw bad(source, `has rows of ${length} and of ${rows[other].length} numbers in ${show(name)}`);
}
