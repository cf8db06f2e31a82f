// URLs and data sets: what is fetched, by what it is. A page becomes its text, a .zip its files, a text is one as it is.

import { platform } from "#platform";
import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import { DataError } from "../../src/errors.ts";
import type { Output } from "../run.ts";
import { printable } from "../samples.ts";
import { dataSets, shippedPath } from "./data_sets.ts";
import { DownloadLine } from "./download_line.ts";
import { type Download, Downloads } from "./downloads.ts";
import { type Fetched, type Fetching, type Limits, usualLimits } from "./fetch.ts";
import { identityOf, isTextFile, piecesOf } from "./local_file.ts";
import type { Part } from "./part.ts";
import { Robots } from "./robots.ts";
import { readPage } from "./web_page.ts";
import { zipPart } from "./zip.ts";

const NAME = "microgpt-webgpu";

/** Bytes of a page at most: all of it is held in memory. */
const MOST_PAGE = 2 ** 25;

const isPage = (type: string) => /^(text\/html|application\/xhtml\+xml)$/.test(type);
const isZip = (type: string) => /^application\/(zip|x-zip(-compressed)?)$/.test(type);
/** Of what servers know nothing of, the bytes will tell. */
const isUnknown = (type: string) => /^$|^(application|binary)\/octet-stream$/.test(type);
const isPlain = (type: string) =>
  /^text\/|^application\/([\w.-]*(json|jsonl|ndjson|jsonlines|csv|xml|javascript|typescript|yaml|toml|sh|tex|sql))$|\+(json|xml)$/.test(
    type,
  );

/** The ending by which a format is told where the URL has none. */
const endings: readonly [RegExp, string][] = [
  [/\/csv$/, ".csv"],
  [/\/tab-separated-values$/, ".tsv"],
  [/(jsonl|ndjson|jsonlines)$/, ".jsonl"],
];

export interface WebOptions {
  cache: boolean;
  allowPrivate: boolean;
  limits?: Limits;
  /** Gives up what is being fetched. */
  signal?: AbortSignal;
}

export class Web {
  private readonly downloads: Downloads;
  private readonly fetching: Fetching;
  private readonly robots: Robots;
  private readonly out: Output;

  /** @param out where progress is shown */
  constructor({ cache, allowPrivate, limits = usualLimits, signal }: WebOptions, out: Output) {
    const agent = `${NAME}/${platform.versions().engine} (trains a language model on what its user names)`;
    this.downloads = new Downloads(cache);
    this.fetching = { allowPrivate, agent, limits, signal };
    this.robots = new Robots(this.fetching, NAME);
    this.out = out;
  }

  /** @throws DataError if it cannot be had, must not be fetched, or is no text */
  async urlPart(word: string): Promise<Part> {
    const url = webAddress(word);
    const permit = (hop: URL) => this.robots.permit(hop);
    const download = await this.fetch(url, word, { permit, room });
    return this.part(download, url, word);
  }

  /** @throws DataError if it cannot be had, or is not what it has to be */
  async dataSetPart(name: string): Promise<Part> {
    const set = dataSets[name];
    const shipped = shippedPath(set);
    if (shipped !== undefined) return plainPart(shipped, name, "names.txt");
    const { path, when } = await this.fetch(new URL(set.url), name, {}, set.sha256);
    return plainPart(path, `${name}${kept(when)}`, `${name}.txt`);
  }

  private async fetch(
    url: URL,
    label: string,
    more: Partial<Fetching>,
    sha256: string | null = null,
  ): Promise<Download> {
    const line = new DownloadLine(this.out, label);
    const progress = (got: number, total: number | null) => line.show(got, total);
    try {
      return await this.downloads.get(url, { ...this.fetching, ...more, progress }, sha256);
    } finally {
      line.end();
    }
  }

  private async part(
    { path, type, charset, when }: Download,
    url: URL,
    word: string,
  ): Promise<Part> {
    const label = `${word}${kept(when)}`;
    if (isPage(type)) {
      const { title, text } = await readPage(decodePage(readFileSync(path), charset), word);
      const bytes = new TextEncoder().encode(text);
      const file = { source: word, path: null, name: "page.txt", pieces: once(bytes) };
      const named = title === "" ? label : `${label} “${printable(title)}”`;
      return { files: [file], label: named, bytes: bytes.length, skipped: [] };
    }
    const name = basename(url.pathname);
    if (isZip(type) || (isUnknown(type) && name.endsWith(".zip"))) return zipPart(path, label);
    const ending = endings.find(([kind]) => kind.test(type))?.[1] ?? "";
    const known = /\.\w+$/.test(name) ? name : `${name}${ending}`;
    if (charset !== null && charset !== "utf-8" && !(await isTextFile(path, statSync(path).size))) {
      const file = {
        source: word,
        path: null,
        name: known,
        pieces: transcoded(path, charset, word),
      };
      return { files: [file], label, skipped: [] };
    }
    return plainPart(path, label, known, word);
  }
}

/** @throws DataError if a word is no address that can be fetched */
export function webAddress(word: string): URL {
  const url = URL.canParse(word) ? new URL(word) : null;
  if (url === null || url.hostname === "") {
    throw new DataError(
      `${word} is no URL that can be fetched; it begins like https://example.org/.`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new DataError(
      `The URL of ${url.host} has a name or a password in it, which would be kept with the run. Fetch the text with ` +
        `another program, and give the file.`,
    );
  }
  url.hash = "";
  return url;
}

/** @throws DataError if it is of a type that is no text */
function room({ url, type }: Fetched): number {
  if (isPage(type)) return MOST_PAGE;
  if (isPlain(type) || isZip(type) || isUnknown(type)) return Infinity;
  throw new DataError(
    `${url.href} is ${type}, which is no text. Save what it says as plain text, and give the file.`,
  );
}

function kept(when: string | null): string {
  return when === null ? "" : ` (as fetched on ${when.slice(0, 10)})`;
}

function plainPart(path: string, label: string, name: string, source = label): Part {
  const file = { source, path: null, name, identity: identityOf(path), pieces: piecesOf(path) };
  return { files: [file], label, bytes: statSync(path).size, skipped: [] };
}

/** By the server's word, the page's own, or as nearly all pages are. */
function decodePage(bytes: Uint8Array, charset: string | null): string {
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 2048));
  const own = /<meta[^>]+charset\s*=\s*["']?([\w-]+)/i.exec(head)?.[1];
  return decoderOf(charset ?? own ?? "utf-8").decode(bytes);
}

function decoderOf(charset: string): TextDecoder {
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder();
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function* transcoded(path: string, charset: string, word: string) {
  let decoder: TextDecoder;
  try {
    decoder = new TextDecoder(charset);
  } catch {
    throw new DataError(`${word} is in the encoding ${charset}, which is not known here.`);
  }
  const encoder = new TextEncoder();
  for await (const bytes of piecesOf(path))
    yield encoder.encode(decoder.decode(bytes, { stream: true }));
  yield encoder.encode(decoder.decode());
}
