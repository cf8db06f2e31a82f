// One run at a time in a folder: a file there says who is at work, and is touched for as long as that one lives. A
// process that was killed leaves it behind, untouched, and it keeps nobody out.

import { randomUUID } from "node:crypto";
import { readFileSync, readlinkSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { ModelFileError } from "../src/errors.ts";
import { isObject, parseStrictJson } from "../src/strict_json.ts";

export const LOCK_FILE = ".microgpt.lock";

const BEAT_MS = 1000;
/** Without a beat for so long, it is left behind: longer than a process that lives is ever kept from its timers. */
const PATIENCE_MS = 5000;
const LOOK_MS = 100;

interface Holder {
  pid: number;
  /** Machine and, where there are such, the space that its process ids are of: containers have their own. */
  host: string;
  since: string;
  id: string;
}

/** Ids of the locks that this process holds. */
const held = new Set<string>();

export class FolderLock {
  private readonly path: string;
  private readonly holder: Holder;
  private readonly beat: NodeJS.Timeout;

  private constructor(path: string, holder: Holder) {
    this.path = path;
    this.holder = holder;
    held.add(holder.id);
    this.beat = setInterval(() => this.touch(), BEAT_MS).unref();
  }

  /** @throws ModelFileError if another run is at work in the folder; and what the file system throws */
  static async take(folder: string): Promise<FolderLock> {
    const path = join(folder, LOCK_FILE);
    const since = new Date().toISOString();
    const holder: Holder = { pid: process.pid, host: host(), since, id: randomUUID() };
    for (;;) {
      try {
        writeFileSync(path, JSON.stringify(holder), { flag: "wx" });
        return new FolderLock(path, holder);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
          removeQuietly(path); // on a full disk it may be there, and empty
          throw error;
        }
      }
      const other = read(path);
      if (await lives(path, other)) throw busy(folder, other);
      if (read(path)?.id === other?.id) rmSync(path, { force: true });
    }
  }

  /**
   * Takes it again where the folder was removed meanwhile.
   * @throws ModelFileError if another run has it
   */
  renew(): void {
    try {
      writeFileSync(this.path, JSON.stringify(this.holder), { flag: "wx" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const other = read(this.path);
      if (other && other.id !== this.holder.id) throw busy(dirname(this.path), other);
      this.touch();
    }
  }

  private touch(): void {
    const now = new Date();
    try {
      utimesSync(this.path, now, now);
    } catch {
      // The folder is gone, or does not answer: who saves there next will say so.
    }
  }

  release(): void {
    clearInterval(this.beat);
    held.delete(this.holder.id);
    if (read(this.path)?.id === this.holder.id) removeQuietly(this.path);
  }
}

/** Left where it cannot be removed, it keeps nobody out: nothing touches it. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {}
}

/** Undefined where there is none, or none that is whole: its process may have been killed as it wrote. */
function read(path: string): Holder | undefined {
  try {
    const holder = parseStrictJson(readFileSync(path, "utf8"));
    return isObject(holder) ? (holder as unknown as Holder) : undefined;
  } catch {
    return undefined;
  }
}

async function lives(path: string, holder: Holder | undefined): Promise<boolean> {
  if (holder?.host === host()) {
    if (holder.pid === process.pid) return held.has(holder.id);
    if (!isAlive(holder.pid)) return false;
    if (isStopped(holder.pid)) return true; // and will go on
  }
  // Of another machine or container; or its process id is another's by now.
  const touched = () => statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  const before = touched();
  for (let waited = 0; waited < PATIENCE_MS; waited += LOOK_MS) {
    await setTimeout(LOOK_MS);
    const now = touched();
    if (now !== before) return now !== undefined;
  }
  return false;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Whether a process was suspended, as by Ctrl-Z; told on Linux only. */
function isStopped(pid: number): boolean {
  try {
    return /^\d+ \(.*\) [Tt] /s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

function host(): string {
  try {
    return `${hostname()} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}

function busy(folder: string, holder: Holder | undefined): ModelFileError {
  const who = holder
    ? `process ${holder.pid} on ${holder.host.split(" ")[0]}, since ${holder.since}`
    : "a process that has just begun";
  return new ModelFileError(
    `Another run is at work in ${folder}: ${who}. Wait for its end, stop it, or choose another --output.`,
  );
}
