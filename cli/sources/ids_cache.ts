// Ids in the user's cache folder, told by a key, so that the next run finds them.

import { createHash } from "node:crypto";
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IdsFile, IdsFileWriter, type Width } from "../../src/files/ids_file.node.ts";
import { cacheFolder } from "../../src/platform/platform.node.ts";
import type { Ids } from "../../src/ids.ts";
import type { IdStore } from "../../src/text/stored_ids.ts";
import { openCacheFolder, partIn, removeOld, touch } from "./cache_folder.ts";

/** Files of ids that are kept, and notes; of more, those go that were not used for longest. */
const MOST_KEPT = 6;
const MOST_NOTES = 100;

/** Of the cache folder. */
const FOLDER = "texts";
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
    const folder = key === null ? undefined : openCacheFolder(FOLDER);
    this.key = folder === undefined ? null : key;
    this.folder = folder ?? tmpdir();
    this.temporary = partIn(this.folder);
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
      touch(path);
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
      removeOld(this.folder, ".json", { things: MOST_KEPT });
      removeOld(this.folder, ".note", { things: MOST_NOTES });
    } catch {
      this.forget();
    }
  }

  /** Its file goes as soon as nobody reads it any more. */
  forget(): void {
    try {
      rmSync(this.temporary, { force: true });
    } catch {} // where it has to wait for that, the next run sees to it
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
    const path = join(cacheFolder(), FOLDER, `${key}.note`);
    const { version, value } = JSON.parse(readFileSync(path, "utf8"));
    if (version !== VERSION) return undefined;
    touch(path);
    return value;
  } catch {
    return undefined;
  }
}

/** Keeps a small thing that takes long to find out; what cannot be kept is found out anew. */
export function keepNote(key: string, value: unknown): void {
  const folder = openCacheFolder(FOLDER);
  if (folder === undefined) return;
  const temporary = partIn(folder);
  try {
    writeFileSync(temporary, JSON.stringify({ version: VERSION, value }));
    renameSync(temporary, join(folder, `${key}.note`));
  } catch {
    rmSync(temporary, { force: true });
  }
}
