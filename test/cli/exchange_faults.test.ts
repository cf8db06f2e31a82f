// `export` and `import` where the disk refuses a call, or a signal comes at one: what they make is there whole, or all is
// as it was.

import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { main as exportMain } from "../../cli/export.ts";
import { main as importMain } from "../../cli/import.ts";
import { saveModel } from "../../src/files/model_dir.node.ts";
import { temporaryName } from "../../src/files/replace_file.node.ts";
import { modelOf, shapes } from "../exchange/folders.ts";
import { fail, faults, faultyDisk } from "../harness/faulty_disk.ts";
import { FakeIo, parseLines, runCli } from "./fake_io.ts";

faultyDisk();

const folder = fs.mkdtempSync(join(tmpdir(), "microgpt-test-"));
const at = (...names: string[]) => join(folder, ...names);
const place = at("place");

beforeAll(() => {
  saveModel(at("model"), modelOf(shapes.llama));
  saveModel(at("microgpt"), modelOf(shapes.microgpt));
  saveModel(at("other"), modelOf({ ...shapes.llama, seed: 9 }));
});
beforeEach(() => {
  fs.rmSync(place, { recursive: true, force: true });
  fs.mkdirSync(place);
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** Every file below a folder, with its bytes. */
const contents = (root: string): Map<string, string> =>
  new Map(
    fs
      .readdirSync(root, { recursive: true, withFileTypes: true })
      .map((entry) => {
        const path = join(entry.parentPath, entry.name);
        return [path, entry.isFile() ? fs.readFileSync(path, "latin1") : "/"];
      })
      .toSorted() as [string, string][],
  );

const exporting = (format: string, output: string, io?: FakeIo, model = "model") => {
  const words = ["--model-dir", at(model), "--format", format, "--output", output, "--overwrite"];
  return runCli(exportMain, words, {}, io);
};
const importing = (source: string, output: string, io?: FakeIo) =>
  runCli(importMain, [source, "--output", output, "--overwrite"], {}, io);

/**
 * Has something happen at the first call that writes to the place, then at the second, until there are no more.
 * @returns how many calls there are
 */
async function atEachCall<T>(
  happen: () => void,
  work: () => Promise<T>,
  look: (outcome: T, before: Map<string, string>) => void,
  prepare: () => Promise<unknown> = async () => {},
): Promise<number> {
  for (let last = 0; ; last++) {
    fs.rmSync(place, { recursive: true, force: true });
    fs.mkdirSync(place);
    await prepare();
    const before = contents(place);
    let calls = 0;
    faults.check = (call, path) => {
      if (call === "closeSync" || !(typeof path === "number" || String(path).startsWith(place)))
        return;
      if (calls++ === last) happen();
    };
    const outcome = await work();
    faults.check = () => {};
    look(outcome, before);
    if (calls <= last) return last;
  }
}

/** What is made, the file that makes it whole, how many there are then. */
const cases: [string, string, number, (io?: FakeIo) => ReturnType<typeof runCli>][] = [
  ["a new folder", "config.json", 6, (io) => exporting("huggingface", at("place", "new", "x"), io)],
  ["a folder that is there", "Modelfile", 2, (io) => exporting("gguf", place, io)],
  ["a file", "x", 1, (io) => exporting("python", at("place", "x"), io, "microgpt")],
  ["a model", "tokenizer.json", 3, (io) => importing(at("source"), at("place", "x"), io)],
];

describe.each(cases)("%s", (_, last, all, work) => {
  beforeAll(() => exporting("huggingface", at("source")));
  const left = () => [...contents(place).keys()].filter((path) => path !== at("place", "new"));

  test("the disk refuses a call", async () => {
    const calls = await atEachCall(
      () => fail("ENOSPC"),
      () => work(),
      ({ code, stderr }) => {
        const told = /^$|^error: (Nothing is exported to|No model can be saved in) .*full/;
        expect([code === 0, stderr]).toEqual([stderr === "", expect.stringMatching(told)]);
        const files = left().filter((path) => fs.statSync(path).isFile());
        const isWhole = files.some((path) => path.endsWith(last));
        expect([0, isWhole ? all : files.length]).toContain(files.length);
        expect(left().filter((path) => path.endsWith(".tmp"))).toEqual([]);
      },
    );
    expect(calls).toBeGreaterThan(3);
  });

  test("a signal", async () => {
    let io: FakeIo;
    let ended = 0;
    await atEachCall(
      () => io.emit("SIGTERM"),
      () => work((io = new FakeIo())),
      ({ code, stdout }) => {
        const isDone = code === 0;
        expect([code, stdout !== ""]).toEqual([isDone ? 0 : 143, isDone]);
        expect(isDone ? [] : left()).toEqual([]);
        ended += isDone ? 0 : 1;
      },
    );
    expect(ended).toBeGreaterThan(0);
  });
});

test("an export over another is whole, or nobody takes it for one, or it is the other", async () => {
  await exporting("huggingface", at("new"), undefined, "other");
  const news = [...contents(at("new")).values()];
  await atEachCall(
    () => fail("EIO"),
    () => exporting("huggingface", place, undefined, "other"),
    (_, before) => {
      const after = contents(place);
      const files = [...after.values()];
      const isOne = [[...before.values()], news].some((one) => String(one) === String(files));
      expect(isOne || !after.has(at("place", "config.json"))).toBe(true);
      expect([...after.keys()].filter((path) => path.endsWith(".tmp"))).toEqual([]);
    },
    () => exporting("huggingface", place),
  );
});

test("what a killed export has left is named", async () => {
  const left = [temporaryName("x"), temporaryName("y"), "x.tmp"].map((name) => at("place", name));
  for (const path of left) fs.mkdirSync(path);
  const words = ["--model-dir", at("model"), "--format", "gguf", "--output", at("place", "x")];
  const { stdout } = await runCli(exportMain, [...words, "--json"]);
  const [{ notes }] = parseLines(stdout);
  expect(notes).toContainEqual(
    `${left[0]} is left of an export that was killed; remove it, unless one is at work.`,
  );
  expect(String(notes)).not.toContain(left[1]);
  expect(left.every((path) => fs.existsSync(path))).toBe(true);
});
