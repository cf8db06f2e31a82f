// A disk that refuses what a test wants it to refuse: calls of node:fs that write fail as it says.

import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll } from "vitest";

const watched = [
  "openSync",
  "writeSync",
  "fsyncSync",
  "closeSync",
  "renameSync",
  "mkdirSync",
] as const;
const real = Object.fromEntries(watched.map((name) => [name, fs[name]]));

/** Throws for a call of node:fs that should fail; it is not told where something is only read. */
export const faults = { check: (_call: string, _path: unknown): void => {} };

export function fail(code: string): never {
  throw Object.assign(new Error(`${code}: injected`), { code });
}

/** What is written into a folder fails. */
export function full(folder: string, code = "ENOSPC"): void {
  faults.check = (call, path) => {
    if (call === "openSync" && String(path).startsWith(`${folder}/`)) fail(code);
  };
}

/**
 * Lets `faults` decide for all tests of a file, where what is saved elsewhere, as its folder refuses it, goes with them.
 * @returns a text to train on
 */
export function faultyDisk(): string {
  const scratch = fs.mkdtempSync(join(tmpdir(), "microgpt-faults-"));
  const input = join(scratch, "names.txt");
  fs.writeFileSync(input, "anna\nbob\ncarla\ndave\n");
  const { TMPDIR } = process.env;
  process.env.TMPDIR = scratch;

  beforeAll(() => {
    for (const name of watched) {
      const call = (...args: unknown[]) => {
        faults.check(name, args[1] === "r" ? "" : args[0]);
        if (name === "fsyncSync") return undefined; // it would take most of the time
        return (real[name] as (...args: unknown[]) => unknown)(...args);
      };
      Object.assign(fs, { [name]: call });
    }
    syncBuiltinESMExports();
  });

  afterEach(() => {
    faults.check = () => {};
  });

  afterAll(() => {
    Object.assign(fs, real);
    syncBuiltinESMExports();
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    fs.rmSync(scratch, { recursive: true, force: true });
  });
  return input;
}
