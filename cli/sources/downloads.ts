// What was fetched is kept in the user's cache folder: one file each, and beside it what its server said of it. Each is
// written under a name of its own and renamed, so that runs at once do each other no harm.

import { createHash, randomUUID } from "node:crypto";
import {
  createReadStream,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { open, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataError, UserError } from "../../src/errors.ts";
import { reason } from "../../src/files/reason.node.ts";
import { isObject, parseStrictJson } from "../../src/strict_json.ts";
import { cacheFolder, makeFolder } from "../../src/platform/platform.node.ts";
import { type Fetching, fetchUrl } from "./fetch.ts";

/** A file that was fetched. */
export interface Download {
  path: string;
  /** As the server said it; empty and null where it did not. */
  type: string;
  charset: string | null;
  /** When it was fetched; null if just now. */
  when: string | null;
}

/** A part of a file that nobody has gone on with for so long is left behind. */
const LEFT_MS = 15 * 60_000;

export class Downloads {
  private readonly caches: boolean;
  private folder: string | undefined;

  /** @param caches whether what was fetched before will do, and is kept */
  constructor(caches: boolean) {
    this.caches = caches;
  }

  /**
   * @param sha256 of the bytes, where they have to be these
   * @throws DataError if it cannot be fetched or written, or is another one
   */
  async get(url: URL, fetching: Fetching, sha256: string | null = null): Promise<Download> {
    const folder = (this.folder ??= this.open());
    const name = createHash("sha256").update(url.href).digest("hex").slice(0, 32);
    const [path, about] = [join(folder, `${name}.data`), join(folder, `${name}.json`)];
    const kept = this.caches ? await readKept(path, about, sha256) : undefined;
    if (kept !== undefined) return kept;
    const temporary = join(folder, `${name}.${randomUUID()}.part`);
    try {
      const { type, charset, hash } = await fetchInto(temporary, url, fetching);
      if (sha256 !== null && hash !== sha256) {
        throw new DataError(
          `${url.href} is not what it was: its SHA-256 is ${hash}, and has to be ${sha256}. Look at what is there now, and ` +
            `if it will do, give the URL in the place of the data set's name.`,
        );
      }
      const when = new Date().toISOString();
      await rename(temporary, path);
      await writeFile(`${temporary}.about`, JSON.stringify({ url: url.href, type, charset, when }));
      await rename(`${temporary}.about`, about);
      return { path, type, charset, when: null };
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new DataError(
        `${url.href} was fetched, but cannot be written to ${folder}: ${reason(error)}. Make room there, or name another ` +
          `place by MICROGPT_CACHE_DIR.`,
      );
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** Where there is no cache folder to be had, or none is wanted, one that is gone when the process is. */
  private open(): string {
    if (this.caches) {
      try {
        const folder = join(cacheFolder(), "downloads");
        makeFolder(folder);
        removeLeft(folder);
        return folder;
      } catch {}
    }
    return temporaryFolder();
  }
}

let temporary: string | undefined;

/** One for the whole process, which takes it along when it ends. */
function temporaryFolder(): string {
  if (temporary !== undefined && existsSync(temporary)) return temporary;
  const folder = (temporary = mkdtempSync(join(tmpdir(), "microgpt-downloads-")));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function fetchInto(path: string, url: URL, fetching: Fetching) {
  const file = await open(path, "wx");
  const hash = createHash("sha256");
  try {
    const found = await fetchUrl(url, fetching, async (bytes) => {
      hash.update(bytes);
      await file.writeFile(bytes);
    });
    return { ...found, hash: hash.digest("hex") };
  } finally {
    await file.close();
  }
}

/** Undefined where there is none that is whole, or it is another one than it has to be. */
async function readKept(path: string, about: string, sha256: string | null) {
  try {
    const value = parseStrictJson(readFileSync(about, "utf8"));
    if (!isObject(value)) return undefined;
    const { type, charset, when } = value as unknown as Download;
    if (sha256 !== null) {
      const hash = createHash("sha256");
      for await (const bytes of createReadStream(path)) hash.update(bytes);
      if (hash.digest("hex") !== sha256) return undefined;
    }
    statSync(path);
    return { path, type, charset, when } satisfies Download;
  } catch {
    return undefined;
  }
}

function removeLeft(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!/\.part(\.about)?$/.test(name)) continue;
    const path = join(folder, name);
    const touched = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
    if (Date.now() - touched > LEFT_MS) rmSync(path, { force: true });
  }
}
