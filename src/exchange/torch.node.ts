// A run as a folder that PyTorch goes on with, under torchrun: the run's own files, its tokens in the order in which it
// sees them, and the scripts of src/exchange/torch.

import { readdirSync, readFileSync } from "node:fs";
import { isChat, isOnAll } from "../choices.ts";
import type { Config } from "../config.ts";
import { ModelFileError } from "../errors.ts";
import { type Checkpoint, encodeCheckpoint } from "../files/checkpoint.ts";
import { encodeModel, ModelFile, toText } from "../files/model_files.ts";
import { lengthAt, type Sequences, writeAt } from "../text/documents.ts";
import type { Split } from "../text/split.ts";
import { readIds } from "../text/stored_ids.ts";
import { type Stream, TokenStream } from "../text/stream.ts";

/** What the scripts read the tokens by. */
interface DataFile {
  kind: "documents" | "stream";
  /** How ids are stored: where some are negative, and where there are more than 65,536, in four bytes. */
  ids: "uint16" | "int32";
  /** From where to where windows of a stream may lie. */
  segments: readonly (readonly [start: number, end: number])[];
  /** Sequences that are held out. */
  held_out: number;
}

const scripts = new URL("./torch/", import.meta.url);

/** Tokens that are made bytes at a time. */
const WINDOW = 2 ** 16;

/** The parameters that model.py has a place for. */
const known =
  /^(wte|wpe|lm_head|final_norm|layer\d+\.(attn_norm|attn_w[qkvo]|[qk]_norm|mlp_norm|mlp_gate|mlp_fc[12]))$/;

/**
 * The files of the folder.
 * @param split of the run's text, as it is trained on
 * @throws ModelFileError if the run trains what is no weight of a model
 */
export function torchFiles(
  run: Checkpoint,
  { train, validation }: Pick<Split, "train" | "validation">,
): ModelFile[] {
  const other = run.layout.slices.find(({ name }) => !known.test(name));
  if (other !== undefined) {
    throw new ModelFileError(
      `The run trains ${other.name}, and the script for PyTorch goes on with runs that train the weights of a model ` +
        `themselves. Export the model in another format, or train all of it.`,
    );
  }
  const ids = idsOf(run.config, run.tokenizer.vocab_size);
  const isStream = train instanceof TokenStream;
  const data: DataFile = {
    kind: isStream ? "stream" : "documents",
    ids,
    segments: isStream ? train.segments : [],
    held_out: validation.length,
  };
  return [
    ...readdirSync(scripts)
      .filter((name) => /\.(py|md)$/.test(name))
      .map((name) => new ModelFile(name, [readFileSync(new URL(name, scripts))])),
    ModelFile.ofText("data.json", toText(data)),
    ...(isStream ? [streamFile("tokens", train.tokens, ids)] : sequenceFiles("tokens", train, ids)),
    ...(validation.length > 0 ? sequenceFiles("held_out", validation, ids) : []),
    encodeCheckpoint(run),
    ...encodeModel(run),
  ];
}

function idsOf({ format, loss_on }: Config, vocab_size: number): DataFile["ids"] {
  const areMasked = isChat(format) && !isOnAll(loss_on);
  return areMasked || vocab_size > 2 ** 16 ? "int32" : "uint16";
}

function bytesOf(ids: ArrayLike<number>, width: DataFile["ids"]): Uint8Array<ArrayBuffer> {
  const { buffer } = width === "uint16" ? Uint16Array.from(ids) : Int32Array.from(ids);
  return new Uint8Array(buffer);
}

function streamFile(name: string, tokens: Stream, width: DataFile["ids"]): ModelFile {
  return new ModelFile(`${name}.bin`, {
    *[Symbol.iterator]() {
      for (let from = 0; from < tokens.length; from += WINDOW) {
        yield bytesOf(readIds(tokens, from, Math.min(tokens.length, from + WINDOW)), width);
      }
    },
  });
}

/** Tokens of sequences one behind the other, and where each begins. */
function sequenceFiles(name: string, sequences: Sequences, width: DataFile["ids"]): ModelFile[] {
  const ids = {
    *[Symbol.iterator]() {
      let window = new Int32Array(WINDOW);
      let end = 0;
      for (let d = 0; d < sequences.length; d++) {
        const length = lengthAt(sequences, d);
        if (end + length > window.length) {
          yield bytesOf(window.subarray(0, end), width);
          end = 0;
          if (length > window.length) window = new Int32Array(length);
        }
        end = writeAt(sequences, d, window, end);
      }
      yield bytesOf(window.subarray(0, end), width);
    },
  };
  const starts = {
    *[Symbol.iterator]() {
      let end = 0;
      for (let first = 0; first <= sequences.length; first += WINDOW) {
        const count = Math.min(WINDOW, sequences.length + 1 - first);
        const places = new BigInt64Array(count);
        for (let i = 0; i < count; i++) {
          places[i] = BigInt(end);
          if (first + i < sequences.length) end += lengthAt(sequences, first + i);
        }
        yield new Uint8Array(places.buffer);
      }
    },
  };
  return [new ModelFile(`${name}.bin`, ids), new ModelFile(`${name}.starts.bin`, starts)];
}
