// A folder in the user's cache folder, which runs at once share. Each file is written under a name of its own and renamed;
// of several that belong together, the one that describes the others is written last, and removed first.

import { randomUUID } from "node:crypto";
import { readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, makeFolder } from "../../src/platform/platform.node.ts";

/** What a run that was killed has left behind goes once it was not written to for so long. */
const LEFT_MS = 15 * 60_000;

/** Files that are nothing without the .json beside them. */
const described = /\.(data|ids|starts)$/;

const isPart = (name: string) => name.includes(".part");

/** Makes it where it is not there yet; undefined where there is none to be had. */
export function openCacheFolder(name: string): string | undefined {
  try {
    const folder = join(cacheFolder(), name);
    makeFolder(folder);
    removeLeft(folder);
    return folder;
  } catch {
    return undefined;
  }
}

/** A path for what is not whole yet. */
export function partIn(folder: string): string {
  return join(folder, `microgpt-${randomUUID()}.part`);
}

/** Notes that a file was used. */
export function touch(path: string): void {
  const now = new Date();
  utimesSync(path, now, now);
}

/**
 * Removes all but what was used last.
 * @param ending of the files that stand for what is kept, each with those beside it that it describes
 * @param most things, and bytes of all of them; the one that was used last stays however large it is
 */
export function removeOld(
  folder: string,
  ending: string,
  { things = Infinity, bytes = Infinity }: { things?: number; bytes?: number },
): void {
  const names = readdirSync(folder).filter((name) => !isPart(name));
  const kept = names
    .filter((name) => name.endsWith(ending))
    .map((name) => ({ name, touched: statOf(folder, name)?.mtimeMs ?? 0 }))
    .sort((a, b) => b.touched - a.touched);
  let total = 0;
  for (const [i, { name }] of kept.entries()) {
    const stem = name.slice(0, -ending.length);
    const files = [
      name,
      ...names.filter((other) => described.test(other) && stemOf(other) === stem),
    ];
    for (const file of files) total += statOf(folder, file)?.size ?? 0;
    if (i < things && (i === 0 || total <= bytes)) continue;
    for (const file of files) rmSync(join(folder, file), { force: true });
  }
}

function removeLeft(folder: string): void {
  const names = readdirSync(folder);
  const there = new Set(names);
  for (const name of names) {
    const alone = described.test(name) && !there.has(`${stemOf(name)}.json`);
    if (!alone && !isPart(name)) continue;
    const touched = statOf(folder, name)?.mtimeMs ?? Infinity;
    if (Date.now() - touched > LEFT_MS) rmSync(join(folder, name), { force: true });
  }
}

function stemOf(name: string): string {
  return name.replace(described, "");
}

function statOf(folder: string, name: string) {
  return statSync(join(folder, name), { throwIfNoEntry: false });
}
