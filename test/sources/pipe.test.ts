// Pipes and devices: what has no size is read with how far it is, counted where it is left out, refused where it may
// never end.

import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { gather } from "../../cli/sources/gather.ts";
import { watched } from "../../cli/sources/pipe.ts";
import { main as train } from "../../cli/train.ts";
import { readFiles } from "../../src/text/read_corpus.ts";
import { FakeIo, runCli, temporaryFolder } from "../cli/fake_io.ts";

const options = { cache: false, allowPrivate: false };

describe.skipIf(process.platform === "win32")("a pipe", () => {
  const folderWithPipe = () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "a.txt"), "ada\n");
    execFileSync("mkfifo", [join(folder, "fifo")]);
    return folder;
  };

  test("in a folder or a pattern is left out and counted", async () => {
    const folder = folderWithPipe();
    for (const word of [folder, join(folder, "*")]) {
      const { files, skipped } = await gather([word], new FakeIo(), options);
      expect(files.map(({ path }) => path)).toEqual([join(folder, "a.txt")]);
      expect(skipped).toEqual(["1 special file"]);
    }
  });

  test("that is named is read once something comes", async () => {
    const path = join(folderWithPipe(), "fifo");
    const { files, label } = await gather([path], new FakeIo(), options);
    const [corpus] = await Promise.all([
      readFiles(files, "text", { source: label }),
      writeFile(path, "bob\n"),
    ]);
    expect(corpus.document(0)).toBe("bob\n");
  });

  test("keeps no process that has given it up", async () => {
    const path = join(folderWithPipe(), "fifo");
    const io = new FakeIo();
    const argv = ["--input", path, "--output", temporaryFolder(), "--device", "cpu"];
    const ended = runCli(train, argv, {}, io);
    setTimeout(() => io.emit("SIGINT"), 300);
    expect((await ended).code).toBe(130);
    // Whoever waited for a writer has gone: one that does not wait finds no reader.
    const write = () => closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
    await vi.waitFor(() => expect(write).toThrow("ENXIO"));
  });

  test("a device that is no terminal is refused", async () => {
    for (const path of ["/dev/zero", "/dev/null"]) {
      await expect(gather([path], new FakeIo(), options)).rejects.toThrow(
        `${path} is a device, and of devices only a terminal is read: there may be no end`,
      );
    }
  });
});

test("how much has come is shown, even where nothing does", async () => {
  vi.useFakeTimers();
  try {
    const { stderr } = new FakeIo();
    let come = () => {};
    const pieces = (async function* () {
      await new Promise<void>((resolve) => (come = resolve));
      yield new Uint8Array(2048);
    })();
    const reading = watched(pieces, "fifo", stderr)[Symbol.asyncIterator]();
    const first = reading.next();
    await vi.advanceTimersByTimeAsync(5000);
    expect(stderr.text).toBe("");
    await vi.advanceTimersByTimeAsync(6000);
    expect(stderr.text).toBe("reading fifo: 0 bytes\n");
    come();
    expect((await first).value).toHaveLength(2048);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(stderr.text).toBe("reading fifo: 0 bytes\nreading fifo: 2 KiB\n");
    expect((await reading.next()).done).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});
