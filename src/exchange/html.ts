// A model as one page that writes by itself, opened from the disk and offline: the page of web/writer, built, with the
// model in blocks of base64. Nothing of a model can become markup there, whatever its tokens or its text's name are.

import { toHalves } from "../device/half.ts";
import { ModelFileError } from "../errors.ts";
import { metadataOf, type Model, ModelFile } from "../files/model_files.ts";
import { count } from "../count.ts";
import { ParameterLayout } from "../model/parameters.ts";
import { checkWeights } from "./check_weights.ts";
import type { Exported, ExportOptions } from "./formats.ts";
import { BLOCKS, MODEL_MARK } from "./writer_page.ts";

/** What the page tells of its model, and reads it by. */
export interface HeldModel {
  /** As model.safetensors has them in its metadata. */
  config: string;
  tokenizer: string;
  /** Names of the texts it has learnt from; none where nobody knows. */
  trained_on: readonly string[];
  /** Whether weights are f16, and else f32: in the table's order, without gaps. */
  half: boolean;
}

/** @throws ModelFileError as htmlPieces() */
export async function exportHtml(
  model: Model,
  { half, trained_on = [], writerPage }: ExportOptions,
): Promise<Exported> {
  if (writerPage === undefined) throw new RangeError("there is no page to export the model into");
  const page = await writerPage();
  const pieces = htmlPieces(model, { half, trained_on, page });
  return { files: [new ModelFile("model.html", pieces)], notes: [] };
}

interface HtmlOptions extends Pick<HeldModel, "trained_on" | "half"> {
  /** The built page. */
  page: string;
}

/** Bytes of a block: one of them is a string that every browser can hold. */
const BLOCK = 3 * 2 ** 23;
/** Bytes that are made base64 at a time. */
const PIECE = 3 * 2 ** 12;

/** Of the tab: what it reads, the weights, and what they are on the CPU. A tab is sure to have two GiB. */
const BYTES_A_WEIGHT = 16;
const TAB_BYTES = 2 ** 31;

/**
 * The file, piece by piece.
 * @throws ModelFileError if the model is larger than a browser's tab, or a weight cannot be written
 */
export function htmlPieces(model: Model, options: HtmlOptions): Iterable<Uint8Array<ArrayBuffer>> {
  const { half, trained_on, page } = options;
  const flat = new ParameterLayout(model.layout.dims);
  if (flat.size * BYTES_A_WEIGHT > TAB_BYTES) {
    throw new ModelFileError(
      `The model has ${count(flat.size)} parameters, and a page that opens from the disk holds ` +
        `${count(TAB_BYTES / BYTES_A_WEIGHT)}: a browser's tab has no more memory for certain. Choose another format.`,
    );
  }
  const values = model.layout.convert(model.values, flat, new Float32Array(flat.size));
  for (const { name, offset, size } of flat.slices) {
    checkWeights(values.subarray(offset, offset + size), name, half);
  }
  const weights = half ? toHalves(values) : values;
  const { config, tokenizer } = metadataOf(model);
  const held: HeldModel = { config, tokenizer, trained_on, half };
  const [before, after] = page.split(MODEL_MARK);
  const utf8 = new TextEncoder();
  return {
    *[Symbol.iterator]() {
      yield utf8.encode(before);
      yield* blocks(BLOCKS.about, utf8.encode(JSON.stringify(held)));
      yield* blocks(BLOCKS.weights, new Uint8Array(weights.buffer));
      yield utf8.encode(after);
    },
  };
}

/** What a browser takes for data, and does not run. */
function* blocks(name: string, bytes: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
  const utf8 = new TextEncoder();
  for (let from = 0; from < bytes.length; from += BLOCK) {
    const block = bytes.subarray(from, from + BLOCK);
    yield utf8.encode(`<script type="text/plain" class="${name}">`);
    for (let at = 0; at < block.length; at += PIECE) {
      yield utf8.encode(btoa(String.fromCharCode(...block.subarray(at, at + PIECE))));
    }
    yield utf8.encode("</script>\n");
  }
}
