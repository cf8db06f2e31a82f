// GGUF files, changed at random field by field, and imported. test/bench/gguf_mutations.ts does so for long.

import { UserError } from "../../src/errors.ts";
import { exportGguf } from "../../src/exchange/gguf/export.ts";
import { importGguf } from "../../src/exchange/gguf/import.ts";
import { sourceOf } from "../../src/files/byte_source.ts";
import { encodeModel, type Model } from "../../src/files/model_files.ts";
import { PythonRandom } from "../../src/random.ts";
import { bytesOf, type Field, type Made, madeFrom, u64 } from "../exchange/make_gguf.ts";

const below = (n: number, random: PythonRandom) => Math.floor(random.random() * n);
const oneOf = <T>(list: readonly T[], random: PythonRandom) => list[below(list.length, random)];

const numbers = [0n, 1n, 2n, 3n, 5n, 8n, 9n, 31n, 2n ** 16n, 2n ** 24n, 2n ** 31n, 2n ** 32n - 1n];
const large = [2n ** 33n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 61n, 2n ** 63n, 2n ** 64n - 1n];

function changedNumber(value: bigint, width: number, other: Field, random: PythonRandom): bigint {
  const bit = 1n << BigInt(below(64, random));
  const near = [value + 1n, value - 1n, value * 2n, value / 2n, value ^ bit];
  const choices = [...near, ...numbers, ...large, "bytes" in other ? 0n : other.value];
  return BigInt.asUintN(8 * width, oneOf(choices, random));
}

function changedBytes(bytes: Uint8Array, other: Field, random: PythonRandom): Uint8Array {
  const at = below(bytes.length, random);
  const byte = oneOf([0, 0xff, 0x22, 0x80, below(256, random)], random);
  const choices = [
    bytes.length > 0 ? bytes.with(at, byte) : bytes,
    bytes.subarray(0, at),
    Uint8Array.of(...bytes, byte),
    "bytes" in other ? other.bytes : bytes,
  ];
  return oneOf(choices, random);
}

/** Of a key or a tensor with one field changed; of a text with its length or without. */
function changedFields<F extends Field[]>(fields: F, random: PythonRandom): F {
  const i = below(random.random() < 0.7 ? Math.min(8, fields.length) : fields.length, random);
  const field = fields[i];
  const other = oneOf(fields, random);
  if (!("bytes" in field)) {
    const value = changedNumber(field.value, field.width, other, random);
    return fields.with(i, { ...field, value }) as F;
  }
  const bytes = changedBytes(field.bytes, other, random);
  const changed = fields.with(i, { bytes });
  const before = fields[i - 1];
  const isText = before !== undefined && !("bytes" in before) && before.width === 8;
  return (isText && random.random() < 0.8 ? changed.with(i - 1, u64(bytes.length)) : changed) as F;
}

/** One of a list is gone, there twice, or where another was. */
function changedList(list: Field[][], random: PythonRandom): Field[][] {
  const i = below(list.length, random);
  const j = below(list.length, random);
  const choices = [
    list.toSpliced(i, 1),
    list.toSpliced(j, 0, list[i]),
    list.with(i, list[j]).with(j, list[i]),
    list.with(i, list[j]),
  ];
  return oneOf(choices, random);
}

/** Of the keys or of the tensors one has changed, or their list, with the number of them or without. */
function changeGroup(made: Made, group: "keys" | "tensors", random: PythonRandom): void {
  const list = made[group];
  if (list.length > 0 && random.random() < 0.75) {
    const i = below(list.length, random);
    made[group] = list.with(i, changedFields(list[i], random));
    return;
  }
  made[group] = changedList(list, random);
  const place = group === "tensors" ? 1 : 2;
  if (random.random() < 0.8) {
    made.head = made.head.with(place, u64(made[group].length)) as Made["head"];
  }
}

function changedData(data: Uint8Array, random: PythonRandom): Uint8Array {
  const at = below(data.length / 4, random) * 4;
  const nan = data.slice();
  nan.set([0, 0, 0xc0, 0x7f], at);
  const longer = new Uint8Array(data.length + 1 + below(64, random));
  longer.set(data);
  return oneOf([data.subarray(0, at), nan, longer, data.with(at, below(256, random))], random);
}

function mutated(file: Made, random: PythonRandom): Uint8Array {
  const made = { ...file };
  const times = 1 + below(3, random);
  for (let i = 0; i < times; i++) {
    const kind = random.random();
    if (kind < 0.55) changeGroup(made, "keys", random);
    else if (kind < 0.88) changeGroup(made, "tensors", random);
    else if (kind < 0.93) made.head = changedFields(made.head, random);
    else made.data = changedData(made.data, random);
  }
  const bytes = bytesOf(made, random.random() < 0.05 ? 1 : 32);
  const at = below(bytes.length, random);
  if (random.random() < 0.04) return bytes.with(at, below(256, random));
  return random.random() < 0.03 ? bytes.subarray(0, at) : bytes;
}

/**
 * Imports so many changed files.
 * @param files to be changed, one after the other
 * @returns how many were models all the same, what was said of the others, and the longest time, in ms, that one took
 * @throws whatever is thrown that is no UserError, with the file that did it
 */
export function runGgufMutations(files: readonly Uint8Array[], count: number, seed: number) {
  const random = new PythonRandom(seed);
  const sentences = new Set<string>();
  const originals = files.map(madeFrom);
  let models = 0;
  let longest = 0;
  for (let i = 0; i < count; i++) {
    const bytes = mutated(originals[i % originals.length], random);
    const start = performance.now();
    try {
      use(importGguf(sourceOf("model.gguf", bytes)).model);
      models++;
    } catch (error) {
      if (!(error instanceof UserError)) {
        const text = Buffer.from(bytes).toString("base64");
        throw new Error(`change ${i}: ${text.slice(0, 50_000)}`, { cause: error });
      }
      sentences.add(error.message);
    }
    longest = Math.max(longest, performance.now() - start);
  }
  return { models, sentences, longest };
}

/** Whatever was read is a model: it encodes, is saved, and exported again. */
function use(model: Model): void {
  model.tokenizer.decode(model.tokenizer.encode("a"));
  encodeModel(model);
  exportGguf(model, { half: false });
}
