// Texts larger than memory: their characters are in a file of numbers in the user's cache folder, told by the files they
// come from and how they are read, so that the next run need not read them again. Each is written under a name of its own
// and renamed, what describes it last: runs at once do each other no harm.

import { createHash, randomUUID } from "node:crypto";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConfigChoice } from "../../src/config.ts";
import { IdsFile, IdsFileWriter, type Width } from "../../src/files/ids_file.node.ts";
import { cacheFolder, makeFolder } from "../../src/platform/platform.node.ts";
import { Corpus } from "../../src/text/corpus.ts";
import type { Reading } from "../../src/text/formats/reader.ts";
import type { TextFile } from "../../src/text/read_corpus.ts";
import type { IdStore } from "../../src/text/stored_ids.ts";

/** Bytes of a text from which on it is not held in memory. */
const LARGE = 2 ** 28;

/** Texts that are kept; of more, those go that were not used for longest. */
const MOST_TEXTS = 4;
/** What a run that was killed has left behind goes after so long. */
const LEFT_MS = 24 * 3_600_000;

/** Raised when older files would be misread. */
const VERSION = 1;

type How = Pick<ConfigChoice, "format"> & Reading;

interface About extends Pick<Corpus, "format" | "format_reason" | "skipped"> {
  version: number;
  width: Width;
  length: number;
  chars: string[];
}

/**
 * @param bytes of the text; undefined where nobody knows
 * @param caches whether what was read before will do, and is kept
 * @param large from how many bytes on a text is not held in memory; for tests
 */
export function cacheFor(
  files: readonly TextFile[],
  how: How,
  bytes: number | undefined,
  caches: boolean,
  large = LARGE,
): TextCache | undefined {
  if (bytes === undefined || bytes < large) return undefined;
  const identities = files.map(({ identity }) => identity);
  const { format, field, separator, skip_bad_lines } = how;
  const asked = [VERSION, identities, format, field, separator, skip_bad_lines];
  const known = caches && identities.every((identity) => identity !== undefined);
  const key = createHash("sha256").update(JSON.stringify(asked)).digest("hex").slice(0, 32);
  return new TextCache(known ? key : null);
}

export class TextCache implements IdStore {
  private readonly key: string | null;
  private readonly folder: string;
  private readonly temporary: string;
  private writer: IdsFileWriter | undefined;
  private written: Pick<About, "width" | "length" | "chars"> | undefined;

  /** @param key by which it is found again; null where it is not to be */
  constructor(key: string | null) {
    const folder = key === null ? undefined : keptFolder();
    this.key = folder === undefined ? null : key;
    this.folder = folder ?? temporaryFolder();
    this.temporary = join(this.folder, `${randomUUID()}.part`);
  }

  /** The text, where it was read before. */
  recall(): Corpus | undefined {
    if (this.key === null) return undefined;
    try {
      const path = this.path("json");
      const about: About = JSON.parse(readFileSync(path, "utf8"));
      const { version, width, length, chars, format, ...more } = about;
      if (version !== VERSION) return undefined;
      if (statSync(this.path("ids")).size !== length * width) return undefined;
      const bytes = readFileSync(this.path("starts"));
      const starts = new Uint32Array(new Uint8Array(bytes).buffer);
      if (starts.at(-1) !== length) return undefined;
      const ids = IdsFile.open(this.path("ids"), width, length);
      const now = new Date();
      utimesSync(path, now, now);
      return new Corpus({ ids, chars }, starts, format, more);
    } catch {
      return undefined; // none, or damaged
    }
  }

  append(...[ids]: Parameters<IdStore["append"]>): void {
    this.writer ??= new IdsFileWriter(this.temporary, 2, (file, width, chars) => {
      this.written = { width, length: file.length, chars: [...chars] };
    });
    this.writer.append(ids);
  }

  end(chars: readonly string[]): IdsFile {
    return this.writer!.end(chars);
  }

  /** Keeps the text that was put here. One that cannot be kept serves this run all the same. */
  keep({ format, format_reason, skipped, conversations, starts }: Corpus): void {
    if (this.key === null || this.written === undefined || conversations.length > 0) {
      return this.forget();
    }
    const about: About = { version: VERSION, ...this.written, format, format_reason, skipped };
    const put = (kind: string, content: Uint8Array | string) => {
      writeFileSync(`${this.temporary}.${kind}`, content);
      renameSync(`${this.temporary}.${kind}`, this.path(kind));
    };
    try {
      rmSync(this.path("json"), { force: true });
      renameSync(this.temporary, this.path("ids"));
      put("starts", new Uint8Array(starts.buffer, starts.byteOffset, starts.byteLength));
      put("json", JSON.stringify(about));
      removeOld(this.folder);
    } catch {
      this.forget();
    }
  }

  /** The file goes as soon as nobody reads it any more. */
  private forget(): void {
    try {
      rmSync(this.temporary, { force: true });
    } catch {} // where it has to wait for that, removeOld() sees to it
  }

  /** Gives up. */
  discard(): void {
    this.writer?.discard();
    this.writer = undefined;
  }

  private path(kind: string): string {
    return join(this.folder, `${this.key}.${kind}`);
  }
}

/** Undefined where there is no cache folder to be had. */
function keptFolder(): string | undefined {
  try {
    const folder = join(cacheFolder(), "texts");
    makeFolder(folder);
    return folder;
  } catch {
    return undefined;
  }
}

let temporary: string | undefined;

/** One for the whole process, which takes it along when it ends. */
function temporaryFolder(): string {
  if (temporary !== undefined) return temporary;
  const folder = (temporary = mkdtempSync(join(tmpdir(), "microgpt-texts-")));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function removeOld(folder: string): void {
  const touched = (name: string) =>
    statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
  const names = readdirSync(folder);
  const left = names.filter(
    (name) => name.includes(".part") && Date.now() - touched(name) > LEFT_MS,
  );
  for (const name of left) rmSync(join(folder, name), { force: true });
  const texts = names.filter((name) => name.endsWith(".json") && !name.includes(".part"));
  texts.sort((a, b) => touched(b) - touched(a));
  for (const name of texts.slice(MOST_TEXTS)) {
    for (const kind of ["json", "ids", "starts"]) {
      rmSync(join(folder, name.replace(/json$/, kind)), { force: true });
    }
  }
}
