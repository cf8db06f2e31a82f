// What was fetched is kept in the user's cache folder: one file each, and beside it what its server said of it.

import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { open, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DataError } from "../../src/errors.ts";
import { reason } from "../../src/files/reason.node.ts";
import { isObject, parseStrictJson } from "../../src/strict_json.ts";
import { openCacheFolder, partIn, removeOld, touch } from "./cache_folder.ts";
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

/** Bytes of all that is kept; of more, what was not used for longest goes. */
const MOST_KEPT = 2 ** 34;

export class Downloads {
  private readonly caches: boolean;
  private readonly most: number;
  private folder: string | undefined;

  /**
   * @param caches whether what was fetched before will do, and is kept
   * @param most bytes of all that is kept; for tests
   */
  constructor(caches: boolean, most = MOST_KEPT) {
    this.caches = caches;
    this.most = most;
  }

  /**
   * @param sha256 of the bytes, where they have to be these
   * @throws DataError if it cannot be fetched or written, or is another one
   */
  async get(url: URL, fetching: Fetching, sha256: string | null = null): Promise<Download> {
    const folder = (this.folder ??= this.open());
    const name = createHash("sha256").update(url.href).digest("hex").slice(0, 32);
    const [path, about] = [join(folder, `${name}.data`), join(folder, `${name}.json`)];
    const kept = this.caches
      ? await readKept(path, about, fetching.allowPrivate, sha256)
      : undefined;
    if (kept !== undefined) return kept;
    const temporary = partIn(folder);
    try {
      const { type, charset, hash } = await fetchInto(temporary, url, fetching);
      if (sha256 !== null && hash !== sha256) {
        throw new DataError(
          `${url.href} is not what it was: its SHA-256 is ${hash}, and has to be ${sha256}. Look at what is there now, and ` +
            `if it will do, give the URL in the place of the data set's name.`,
        );
      }
      const when = new Date().toISOString();
      const said: About = { url: url.href, type, charset, when, private: fetching.allowPrivate };
      await attempt(url, folder, async () => {
        await writeFile(`${temporary}.json`, JSON.stringify(said));
        await rm(about, { force: true });
        await rename(temporary, path);
        await rename(`${temporary}.json`, about);
      });
      return { path, type, charset, when: null };
    } finally {
      for (const left of [temporary, `${temporary}.json`]) await rm(left, { force: true });
    }
  }

  /** Where there is no cache folder to be had, or none is wanted, one that goes when the process comes to its end. */
  private open(): string {
    const folder = this.caches ? openCacheFolder("downloads") : undefined;
    if (folder === undefined) return temporaryFolder();
    try {
      removeOld(folder, ".json", { bytes: this.most }); // before there is anything of this run in it
    } catch {} // what cannot be removed stays
    return folder;
  }
}

let temporary: string | undefined;

/** One for the whole process. A process that a signal ends at once leaves it to who clears the system's own. */
function temporaryFolder(): string {
  if (temporary !== undefined && existsSync(temporary)) return temporary;
  const parent = tmpdir();
  let folder: string;
  try {
    folder = mkdtempSync(join(parent, "microgpt-downloads-"));
  } catch (error) {
    throw new DataError(
      `What is fetched cannot be put into ${parent}: ${reason(error)}. Make room there, or name another place by TMPDIR.`,
    );
  }
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return (temporary = folder);
}

/** @throws DataError if the disk does not do it */
async function attempt<T>(url: URL, folder: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw new DataError(
      `What comes from ${url.href} cannot be written to ${folder}: ${reason(error)}. Make room there, or name another ` +
        `place by MICROGPT_CACHE_DIR.`,
    );
  }
}

async function fetchInto(path: string, url: URL, fetching: Fetching) {
  const writing = <T>(action: () => Promise<T>) => attempt(url, dirname(path), action);
  const file = await writing(() => open(path, "wx"));
  const hash = createHash("sha256");
  try {
    const found = await fetchUrl(url, fetching, async (bytes) => {
      hash.update(bytes);
      await writing(() => file.writeFile(bytes));
    });
    return { ...found, hash: hash.digest("hex") };
  } finally {
    await file.close();
  }
}

/** What is kept beside a file. */
interface About {
  url: string;
  type: string;
  charset: string | null;
  when: string;
  /** Whether it may have come from an address that is not public. */
  private: boolean;
}

function isAbout(value: unknown): value is About {
  if (!isObject(value)) return false;
  const { url, type, charset, when } = value;
  return (
    [url, type, when].every((text) => typeof text === "string") &&
    (charset === null || typeof charset === "string") &&
    typeof value.private === "boolean" &&
    /^\d{4}-\d\d-\d\dT/.test(when as string)
  );
}

/** Undefined where there is none that is whole, or that may be read now, or it is another one than it has to be. */
async function readKept(
  path: string,
  about: string,
  allowPrivate: boolean,
  sha256: string | null,
): Promise<Download | undefined> {
  try {
    const value = parseStrictJson(readFileSync(about, "utf8"));
    if (!isAbout(value) || (value.private && !allowPrivate)) return undefined;
    const { type, charset, when } = value;
    if (sha256 !== null) {
      const hash = createHash("sha256");
      for await (const bytes of createReadStream(path)) hash.update(bytes);
      if (hash.digest("hex") !== sha256) return undefined;
    }
    statSync(path);
    touch(about);
    return { path, type, charset, when };
  } catch {
    return undefined;
  }
}
