// Ids in the user's cache folder, told by a key, so that the next run finds them. Each is written under a name of its own
// and renamed, what describes it last: runs at once do each other no harm.

import { createHash, randomUUID } from "node:crypto";
import {
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
import { IdsFile, IdsFileWriter, type Width } from "../../src/files/ids_file.node.ts";
import { cacheFolder, makeFolder } from "../../src/platform/platform.node.ts";
import type { Ids } from "../../src/ids.ts";
import type { IdStore } from "../../src/text/stored_ids.ts";

/** Files of ids that are kept, and notes; of more, those go that were not used for longest. */
const MOST_KEPT = 6;
const MOST_NOTES = 100;
/** What a run that was killed has left behind goes once it was not written to for so long. */
const LEFT_MS = 15 * 60_000;

/** Raised when older files would be misread. */
const VERSION = 1;

interface Header {
  version: number;
  width: Width;
  length: number;
}

export function keyOf(...parts: unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

/** @param T what is kept beside them, as JSON has it */
export class CachedIds<T extends object> implements IdStore {
  private readonly key: string | null;
  private readonly folder: string;
  private readonly temporary: string;
  private writer: IdsFileWriter | undefined;
  private header: Header | undefined;
  /** What stands for the ids, where they are those of characters. */
  chars: readonly string[] = [];

  /** @param key by which they are found again; null where they are not to be */
  constructor(key: string | null) {
    const folder = key === null ? undefined : keptFolder();
    this.key = folder === undefined ? null : key;
    this.folder = folder ?? tmpdir();
    this.temporary = join(this.folder, `microgpt-${randomUUID()}.part`);
  }

  /** What was kept; undefined where there is none that is whole. */
  recall(): { ids: IdsFile; starts: Uint32Array; about: T } | undefined {
    if (this.key === null) return undefined;
    try {
      const path = this.path("json");
      const { header, about }: { header: Header; about: T } = JSON.parse(
        readFileSync(path, "utf8"),
      );
      const { version, width, length } = header;
      if (version !== VERSION) return undefined;
      if (statSync(this.path("ids")).size !== length * width) return undefined;
      const starts = new Uint32Array(new Uint8Array(readFileSync(this.path("starts"))).buffer);
      if (starts.at(-1) !== length) return undefined;
      const ids = IdsFile.open(this.path("ids"), width, length);
      const now = new Date();
      utimesSync(path, now, now);
      return { ids, starts, about };
    } catch {
      return undefined;
    }
  }

  append(ids: Ids): void {
    if (this.writer === undefined) {
      this.writer = new IdsFileWriter(this.temporary, 2);
      if (this.key === null) this.writer.hide();
    }
    this.writer.append(ids);
  }

  end(chars: readonly string[]): IdsFile {
    this.append(new Uint16Array()); // there may have been none
    this.chars = [...chars];
    const { width, length } = this.writer!;
    this.header = { version: VERSION, width, length };
    return this.writer!.end();
  }

  /** Keeps what was put here. What cannot be kept serves this run all the same. */
  keep(starts: Uint32Array, about: T): void {
    if (this.key === null || this.header === undefined) return this.forget();
    const put = (kind: string, content: Uint8Array | string) => {
      writeFileSync(`${this.temporary}.${kind}`, content);
      renameSync(`${this.temporary}.${kind}`, this.path(kind));
    };
    try {
      rmSync(this.path("json"), { force: true });
      renameSync(this.temporary, this.path("ids"));
      put("starts", new Uint8Array(starts.buffer, starts.byteOffset, starts.byteLength));
      put("json", JSON.stringify({ header: this.header, about }));
      removeOld(this.folder);
    } catch {
      this.forget();
    }
  }

  /** Its file goes as soon as nobody reads it any more. */
  forget(): void {
    try {
      rmSync(this.temporary, { force: true });
    } catch {} // where it has to wait for that, removeOld() sees to it
  }

  /** Gives up what was begun. */
  discard(): void {
    this.writer?.discard();
    this.writer = undefined;
  }

  private path(kind: string): string {
    return join(this.folder, `${this.key}.${kind}`);
  }
}

/** What keepNote() was given; undefined where it is not there, or not whole. */
export function recallNote(key: string): unknown {
  try {
    const path = join(cacheFolder(), "texts", `${key}.note`);
    const { version, value } = JSON.parse(readFileSync(path, "utf8"));
    if (version !== VERSION) return undefined;
    const now = new Date();
    utimesSync(path, now, now);
    return value;
  } catch {
    return undefined;
  }
}

/** Keeps a small thing that takes long to find out; what cannot be kept is found out anew. */
export function keepNote(key: string, value: unknown): void {
  const folder = keptFolder();
  if (folder === undefined) return;
  const temporary = join(folder, `${randomUUID()}.part`);
  try {
    writeFileSync(temporary, JSON.stringify({ version: VERSION, value }));
    renameSync(temporary, join(folder, `${key}.note`));
  } catch {
    rmSync(temporary, { force: true });
  }
}

/** Undefined where there is no cache folder to be had. */
function keptFolder(): string | undefined {
  try {
    const folder = join(cacheFolder(), "texts");
    makeFolder(folder);
    removeLeft(folder);
    return folder;
  } catch {
    return undefined;
  }
}

const isPart = (name: string) => name.includes(".part");

const touchedAt = (folder: string, name: string) =>
  statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? Infinity;

function removeLeft(folder: string): void {
  for (const name of readdirSync(folder).filter(isPart)) {
    if (Date.now() - touchedAt(folder, name) > LEFT_MS) rmSync(join(folder, name), { force: true });
  }
}

function removeOld(folder: string): void {
  const touched = (name: string) => touchedAt(folder, name);
  const names = readdirSync(folder);
  const oldest = (ending: string, most: number) =>
    names
      .filter((name) => name.endsWith(ending) && !isPart(name))
      .sort((a, b) => touched(b) - touched(a))
      .slice(most);
  for (const name of oldest(".note", MOST_NOTES)) rmSync(join(folder, name), { force: true });
  for (const name of oldest(".json", MOST_KEPT)) {
    for (const kind of ["json", "ids", "starts"]) {
      rmSync(join(folder, name.replace(/json$/, kind)), { force: true });
    }
  }
}
