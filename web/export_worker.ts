// Makes a model's files in another format, and one file of them: a zip where they are several.

import { Zip, ZipPassThrough } from "fflate";
import { UserError } from "../src/errors.ts";
import { type ExportFormat, exportFormats, type ExportName } from "../src/exchange/formats.ts";
import { decodeModelFile, type ModelFile } from "../src/files/model_files.ts";

export interface ExportRequest {
  /** A model.safetensors. */
  file: Blob;
  format: ExportName;
  half: boolean;
  trained_on: readonly string[];
  /** Address of the page that models are exported into. */
  page: string;
}

export type ExportReport =
  | { type: "made"; file: Blob; name: string; notes: readonly string[] }
  | { type: "refused"; message: string };

async function make({ file, format, page, ...options }: ExportRequest): Promise<ExportReport> {
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const model = decodeModelFile(bytes, "model.safetensors");
    const { kind, make }: ExportFormat = exportFormats[format];
    const writerPage = () => fetched(page);
    const { files, notes } = await make(model, { ...options, writerPage });
    return kind === "file"
      ? { type: "made", file: new Blob([...files[0].pieces]), name: files[0].name, notes }
      : { type: "made", file: zipped(files), name: `model-${format}.zip`, notes };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { type: "refused", message: error.message };
  }
}

async function fetched(address: string): Promise<string> {
  const response = await fetch(address).catch(() => undefined);
  if (response?.ok) return response.text();
  throw new UserError(
    `The page that models are exported into could not be had from ${address}; reload this page, and export again.`,
  );
}

/** Not compressed: weights are noise. */
function zipped(files: readonly ModelFile[]): Blob {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const zip = new Zip((error, piece) => {
    if (error) throw error;
    parts.push(piece as Uint8Array<ArrayBuffer>);
  });
  for (const { name, pieces } of files) {
    const entry = new ZipPassThrough(name);
    zip.add(entry);
    for (const piece of pieces) entry.push(piece);
    entry.push(new Uint8Array(), true);
  }
  zip.end();
  return new Blob(parts);
}

addEventListener("message", async ({ data }: MessageEvent<ExportRequest>) => {
  postMessage(await make(data));
});
