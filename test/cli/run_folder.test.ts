// The output folder of a run: what was there before is kept or refused, one run at a time is at work in it, and what
// others have there stays.

import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FolderLock, LOCK_FILE } from "../../cli/lock.ts";
import { loadCheckpoint, loadModel } from "../../src/files/model_dir.node.ts";
import { RunFolder } from "../../cli/run_folder.ts";
import { main as generate } from "../../cli/generate.ts";
import { main as sweep } from "../../cli/sweep.ts";
import { main as train } from "../../cli/train.ts";
import { FakeIo, runCli, temporaryFolder } from "./fake_io.ts";

const quick = ["--device", "cpu", "--num-samples", "1", "--steps", "5"];
const runFiles = [
  "config.json",
  "metrics.jsonl",
  "model.safetensors",
  "tokenizer.json",
  "training.safetensors",
];

const run = (output: string, ...argv: string[]) =>
  runCli(train, [...quick, "--output", output, ...argv]);

/** Stops a run after some steps. */
async function stopped(output: string, step: number, ...argv: string[]) {
  const io = new FakeIo();
  io.stdout.onWrite = (text) => {
    if (text.includes(`"step":${step},`)) io.emit("SIGINT");
  };
  const more = ["--steps", "9", "--json", "--log-every", "1"];
  const outcome = await runCli(train, [...quick, ...more, "--output", output, ...argv], {}, io);
  expect(outcome.code).toBe(130);
}

const contents = (folder: string) =>
  readdirSync(folder)
    .filter((name) => statSync(join(folder, name)).isFile())
    .map((name) => [name, readFileSync(join(folder, name), "base64")]);

describe("a finished model", () => {
  test("is kept beside the next one, every file of it, and that is said", async () => {
    const output = temporaryFolder();
    expect((await run(output)).stderr).toBe("");
    const first = contents(output);
    const second = await run(output, "--lr", "0.02");
    expect(second.stderr).toBe(`The model that was in ${output} is now in ${output}/earlier-1.\n`);
    expect(contents(join(output, "earlier-1"))).toEqual(first);
    const next = contents(output);
    writeFileSync(join(output, "notes.md"), "mine");
    await run(output, "--lr", "0.03");
    expect(contents(join(output, "earlier-2"))).toEqual(next);
    expect(contents(join(output, "earlier-1"))).toEqual(first);
    expect(readdirSync(output).sort()).toEqual(
      [...runFiles, "earlier-1", "earlier-2", "notes.md"].sort(),
    );
    const old = await runCli(generate, [
      "--model-dir",
      join(output, "earlier-1"),
      "--device",
      "cpu",
    ]);
    expect(old.code).toBe(0);
  });

  test("is replaced by --overwrite, without a word", async () => {
    const output = temporaryFolder();
    await run(output);
    expect((await run(output, "--lr", "0.02", "--overwrite")).stderr).toBe("");
    expect(readdirSync(output).sort()).toEqual(runFiles);
    expect(loadModel(output).config.learning_rate).toBe(0.02);
  });

  test("of a sweep is kept too, and by a sweep", async () => {
    const output = temporaryFolder();
    const argv = [...quick.slice(0, 2), "--steps", "3", "--seed", "1,2", "--output", output];
    expect(await runCli(sweep, argv)).toMatchObject({ code: 0, stderr: "" });
    const first = contents(output);
    await run(output);
    expect(contents(join(output, "earlier-1"))).toEqual(first);
    const again = await runCli(sweep, argv);
    expect(again.stderr).toMatch(/ is now in .*earlier-2\.\n$/);
    expect(readdirSync(join(output, "earlier-2")).sort()).toEqual(runFiles);
    expect(contents(output)).toEqual(first);
    expect((await runCli(sweep, [...argv, "--overwrite"])).stderr).toBe("");
  });
});

describe("a run that is not finished", () => {
  test("is not replaced: refused with what is there, and the ways out", async () => {
    const output = temporaryFolder();
    const input = join(temporaryFolder(), "my text.txt");
    writeFileSync(input, "anna\nbob\n");
    await stopped(output, 3, "--input", input);
    const before = contents(output);
    for (const [main, argv] of [
      [train, quick],
      [sweep, ["--seed", "1,2", "--device", "cpu"]],
    ] as const) {
      const refused = await runCli(main, [...argv, "--output", output]);
      expect(refused).toEqual({
        code: 1,
        stdout: "",
        stderr:
          `error: ${output} holds a run that is not finished: 3 of 9 steps on ${input}. Go on with it by ` +
          `--resume, replace it by --overwrite, or choose another --output.\n`,
      });
      expect(contents(output)).toEqual(before);
    }
    expect((await run(output, "--overwrite")).code).toBe(0);
    expect(loadCheckpoint(output)).toMatchObject({ step: 5, input: null });
    expect((await run(output, "--overwrite", "--resume")).code).toBe(2);
  });

  test("marks its folder before its first step: what was there is not gone on with", async () => {
    const output = temporaryFolder();
    await run(output); // on the names
    const names = contents(output);
    const input = join(temporaryFolder(), "book.txt");
    writeFileSync(input, "anna\nbob\n");
    const io = new FakeIo();
    io.stdout.onWrite = (text) => {
      if (!text.startsWith("step ")) return;
      // what a kill would leave before the first save that is due
      expect(loadCheckpoint(output)).toMatchObject({ step: 0, input: [input] });
      expect(contents(join(output, "earlier-1"))).toEqual(names);
      expect(existsSync(join(output, "model.safetensors"))).toBe(false);
      io.emit("SIGINT");
    };
    const argv = [...quick, "--output", output, "--input", input];
    expect((await runCli(train, argv, {}, io)).code).toBe(130);
    const rest = await runCli(train, ["--output", output, "--resume"]);
    expect(rest.stdout).toContain("book.txt: 2 documents");
  });

  test("has trained nothing, and so is replaced; its model is not written with", async () => {
    const output = temporaryFolder();
    const diverging = await run(output, "--lr", "1e30", "--steps", "50");
    expect(diverging.stderr).toMatch(/^error: Training diverged/);
    expect(loadCheckpoint(output).step).toBe(0);
    const texts = await runCli(generate, ["--model-dir", output]);
    expect(texts).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/ended before it saved/),
    });
    expect(await run(output)).toMatchObject({ code: 0, stderr: "" });
    expect(readdirSync(output).sort()).toEqual(runFiles);
  });

  test("whose first model is not there yet is written with as its state has it", async () => {
    const output = temporaryFolder();
    await stopped(output, 3);
    rmSync(join(output, "model.safetensors"));
    expect(loadModel(output).step).toBe(3);
  });
});

describe("files of others", () => {
  const others: [string, string][] = [
    ["config.json", `{"name": "my app"}`],
    ["tokenizer.json", `{"model": {"type": "BPE"}}`],
    ["model.safetensors", "an image"],
    ["metrics.jsonl", `{"requests": 7}\n`],
  ];
  test.each(others)("a %s is not replaced, not even by --overwrite", async (name, text) => {
    const output = temporaryFolder();
    writeFileSync(join(output, name), text);
    for (const more of [[], ["--overwrite"]]) {
      const { code, stderr } = await run(output, ...more);
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringMatching(
          new RegExp(`^error: .* holds a ${name} that this program did not write, .* --output`),
        ),
      });
    }
    expect(readdirSync(output)).toEqual([name]);
    expect(readFileSync(join(output, name), "utf8")).toBe(text);
  });

  test("stay, and so do names that only look like temporary ones", async () => {
    const output = temporaryFolder();
    const mine = [".notes.2024.tmp", ".model.safetensors.tmp", ".data.json.99999.tmp", "a.tmp"];
    const left = [".model.safetensors.0123456789ab.tmp", ".config.json.999999999.tmp"];
    for (const name of [...mine, ...left]) writeFileSync(join(output, name), "");
    expect((await run(output)).code).toBe(0);
    expect(readdirSync(output).sort()).toEqual([...mine, ...runFiles].sort());
  });

  test("a damaged model of this program is kept aside", async () => {
    const output = temporaryFolder();
    await run(output);
    for (const name of ["model.safetensors", "training.safetensors"]) {
      truncateSync(join(output, name), 20);
    }
    const damaged = contents(output);
    expect((await run(output)).code).toBe(0);
    expect(contents(join(output, "earlier-1"))).toEqual(damaged);
  });
});

describe("one run at a time", () => {
  test("a second one in the same folder is told who is there", async () => {
    const output = temporaryFolder();
    const io = new FakeIo();
    let second: Promise<{ code: number; stderr: string }> | undefined;
    io.stdout.onWrite = (text) => {
      if (text.startsWith("step ")) second ??= run(output);
    };
    const long = quick.with(quick.indexOf("--steps") + 1, "3000"); // it still runs when the other begins
    await runCli(train, [...long, "--output", output], {}, io);
    expect(await second).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        new RegExp(
          `^error: Another run is at work in .*: process ${process.pid} on ${hostname()}, since 2.*Z\\. Wait for`,
        ),
      ),
    });
    expect(existsSync(join(output, LOCK_FILE))).toBe(false);
    expect((await run(output)).code).toBe(0);
  });

  const write = (output: string, holder: object | string) => {
    const text = typeof holder === "string" ? holder : JSON.stringify(holder);
    writeFileSync(join(output, LOCK_FILE), text);
  };
  const here = async () => {
    const folder = temporaryFolder();
    const lock = await FolderLock.take(folder);
    const { host } = JSON.parse(readFileSync(join(folder, LOCK_FILE), "utf8"));
    lock.release();
    return host as string;
  };

  test("a process that was killed keeps nobody out", async () => {
    const output = temporaryFolder();
    const child = spawn(process.execPath, ["-e", ""]);
    await once(child, "close");
    write(output, { pid: child.pid, host: await here(), since: "", id: "a" });
    const started = performance.now();
    (await RunFolder.open(output, "keep")).close();
    write(output, {
      pid: process.pid,
      host: await here(),
      since: "",
      id: "of one before, with our id",
    });
    (await RunFolder.open(output, "keep")).close();
    expect(performance.now() - started).toBeLessThan(4000); // without watching
    expect(readdirSync(output)).toEqual([]);
  });

  test.runIf(process.platform === "linux")("one that is suspended is still there", async () => {
    const output = temporaryFolder();
    const child = spawn("sleep", ["60"]);
    child.kill("SIGSTOP");
    const stat = () => readFileSync(`/proc/${child.pid}/stat`, "latin1");
    while (!stat().includes(") T ")) await new Promise((done) => setTimeout(done, 10));
    write(output, { pid: child.pid, host: await here(), since: "2026-01-01", id: "c" });
    await expect(RunFolder.open(output, "keep")).rejects.toThrow(`process ${child.pid} on`);
    child.kill("SIGKILL");
  });

  test("who lost the folder to another does not save there any more", async () => {
    const output = temporaryFolder();
    const lock = await FolderLock.take(output);
    write(output, { pid: 1, host: "far-away", since: "2026-01-01", id: "d" });
    expect(() => lock.renew()).toThrow("Another run is at work in");
    lock.release();
    expect(readdirSync(output)).toEqual([LOCK_FILE]);
  });

  test("a run that another went on with while its text was read is not gone on with from before", async () => {
    const output = temporaryFolder();
    await stopped(output, 2);
    const io = new FakeIo();
    const text = readFileSync(new URL("../../src/text/names.txt", import.meta.url));
    io.stdin = (async function* () {
      const more = ["--resume", "--input", join(import.meta.dirname, "../../src/text/names.txt")];
      expect((await runCli(train, ["--output", output, "--device", "cpu", ...more])).code).toBe(0);
      yield text;
    })();
    const late = await runCli(train, ["--resume", "--input", "-", "--output", output], {}, io);
    expect(late.code).toBe(1);
    expect(late.stderr).toMatch(/^error: The run in .* was at step 2 .* to step 9\. Give the same/);
  });

  test("a command that is refused leaves no folder behind", async () => {
    const output = join(temporaryFolder(), "o");
    expect((await run(output, "--n-layer", "1000000")).code).not.toBe(0);
    expect(existsSync(output)).toBe(false);
  });

  test("one on another machine is known by its beats; without them it is gone", async () => {
    const [alive, gone, half] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];
    const far = { pid: 1, host: "far-away pid:[1]", since: "2026-01-01", id: "b" };
    write(alive, far);
    write(gone, { ...far, host: await here(), pid: process.ppid }); // a number that is another's by now
    const beat = setInterval(() => utimesSync(join(alive, LOCK_FILE), new Date(), new Date()), 50);
    write(half, "{ cut as it was writ");
    const opened = Promise.all([gone, half].map((folder) => RunFolder.open(folder, "keep")));
    await expect(RunFolder.open(alive, "keep")).rejects.toThrow(
      /process 1 on far-away, since 2026-01-01\./,
    );
    clearInterval(beat);
    for (const folder of await opened) folder.close();
    expect([alive, gone, half].map((folder) => readdirSync(folder))).toEqual([[LOCK_FILE], [], []]);
  }, 20_000);

  test("beats for as long as it is held", async () => {
    const output = temporaryFolder();
    const lock = await FolderLock.take(output);
    const path = join(output, LOCK_FILE);
    const { mtimeMs } = statSync(path);
    while (statSync(path).mtimeMs === mtimeMs) await new Promise((done) => setTimeout(done, 50));
    rmSync(output, { recursive: true });
    mkdirSync(output);
    lock.renew();
    expect(existsSync(path)).toBe(true);
    lock.release();
    expect(existsSync(path)).toBe(false);
  });
});
