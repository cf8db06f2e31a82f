// An open batch: the step is what it would have been, in micro-batches of which each fits.

import { afterEach, describe, expect, test, vi } from "vitest";
import { platform } from "#platform";
import { main as info } from "../cli/info.ts";
import { type Config, type ConfigChoice, resolveConfig } from "../src/config.ts";
import { train } from "../src/index.ts";
import { hostBytes } from "../src/model/memory.ts";
import { dimsOf } from "../src/model/parameters.ts";
import { chooseBatch, inOneBatch } from "../src/training/choose_batch.ts";
import { needsOf } from "../src/training/needs.ts";
import { Sweep } from "../src/training/sweep.ts";
import { resumedConfig } from "../src/training/resume.ts";
import { device } from "./harness/device.ts";
import { limited } from "./harness/limited.ts";
import { parseLines, runCli } from "./cli/fake_io.ts";

afterEach(() => void vi.restoreAllMocks());

const open = (preset: string, overrides: Partial<ConfigChoice> = {}) =>
  resolveConfig(preset, { ...overrides, batch_size: "auto" });

/** A step of 24 rows. */
const config = resolveConfig("size-tiny", { batch_size: 24 });
const dims = dimsOf(config, 65);
const split = ({ batch_size, grad_accumulation }: Config) => [batch_size, grad_accumulation];
const bytesOf = (batch_size: number) => {
  const micro = { ...config, batch_size, grad_accumulation: 24 / batch_size };
  return (
    needsOf(micro, dims, undefined, device).training.device_bytes + hostBytes(micro, dims, "webgpu")
  );
};

test("a step has as many documents as preset and settings say", () => {
  const rows = (choice: ConfigChoice) => inOneBatch(choice);
  expect(rows(open("shakespeare"))).toMatchObject({ batch_size: 64, grad_accumulation: 1 });
  expect(rows(open("small", { grad_accumulation: 3 }))).toMatchObject({ batch_size: 24 });
  // In its range before the preset's batch is counted in, and after that too.
  expect(() => open("small", { grad_accumulation: 0.5 })).toThrow(/^grad_accumulation is 0\.5; it/);
  expect(() => open("small", { grad_accumulation: 2 ** 22 })).toThrow(
    /^grad_accumulation is 4194304, which with the batch of preset small makes 33554432 documents/,
  );
  const asked = resolveConfig("small", { grad_accumulation: 3 });
  expect(inOneBatch(asked)).toEqual(asked);
  expect(() => resolveConfig("small", { batch_size: "all" as "auto" })).toThrow(
    /batch_size is "all"; it must be auto or a whole number of at least 1/,
  );
});

describe("the largest that fits is chosen", () => {
  test.each([24, 12, 8, 6, 4, 3, 2, 1])(
    "of main memory for a GPU in software: %i",
    async (rows) => {
      vi.spyOn(platform, "memory").mockReturnValue(bytesOf(rows));
      const { config: chosen, batch_reason } = await chooseBatch(device, config, dims);
      expect(split(chosen)).toEqual([rows, 24 / rows]);
      expect(batch_reason).toMatch(
        rows === 24
          ? /^24: all of a step fits/
          : new RegExp(`^${rows}: no more of a step's 24 fits `),
      );
    },
  );

  test("of main memory for the CPU", async () => {
    const needed = (batch_size: number) =>
      hostBytes({ ...config, batch_size, grad_accumulation: 24 / batch_size }, dims, "cpu");
    vi.spyOn(platform, "memory").mockReturnValue(needed(6));
    expect(split((await chooseBatch(undefined, config, dims)).config)).toEqual([6, 4]);
  });

  test("of a binding's limit", async () => {
    const H = dims.H * 2;
    const small = limited(device, { binding: 4 * 8 * dims.T * H });
    expect(split((await chooseBatch(small, config, dims)).config)).toEqual([8, 3]);
  });

  test("of the memory that a GPU gives when it is asked for", async () => {
    const [six, eight] = [6, 8].map((batch_size) => {
      const micro = { ...config, batch_size, grad_accumulation: 24 / batch_size };
      return needsOf(micro, dims).training.device_bytes;
    });
    const small = limited(device, { all: (six + eight) / 2 });
    expect(split((await chooseBatch(small, config, dims)).config)).toEqual([6, 4]);
    // And all that was asked for is given back.
    expect(split((await chooseBatch(small, config, dims)).config)).toEqual([6, 4]);
  });

  test("one document where not even that fits", async () => {
    vi.spyOn(platform, "memory").mockReturnValue(1000);
    const { config: chosen, batch_reason } = await chooseBatch(device, config, dims);
    expect(split(chosen)).toEqual([1, 24]);
    expect(batch_reason).toMatch(/^1: not even that may fit /);
  });
});

const text = Array.from({ length: 200 }, (_, i) => `line ${i * i}\n`).join("");
const tiny = {
  format: "text",
  n_layer: 1,
  block_size: 8,
  activation: "gelu",
  num_steps: 4,
} as const;

test.each(["cpu", "webgpu"] as const)(
  "on %s a run is that of the split it says, and keeps it",
  async (on) => {
    const settings = { ...tiny, preset: "tiny", device: on } as const;
    const steps = async (training: Awaited<ReturnType<typeof train>>, until = Infinity) => {
      const losses: number[] = [];
      for await (const { loss } of training.steps()) if (losses.push(loss) === until) break;
      return losses;
    };
    const micro = {
      ...resolveConfig("tiny", tiny),
      val_fraction: 0.1,
      batch_size: 8,
      grad_accumulation: 4,
    };
    const sizes = dimsOf(micro, new Set(text).size + 1);
    const bytes = needsOf(micro, sizes, undefined, device).training.device_bytes;
    const memory = on === "cpu" ? hostBytes(micro, sizes, on) : bytes + hostBytes(micro, sizes, on);
    vi.spyOn(platform, "memory").mockReturnValue(memory);
    const first = await train(text, { ...settings, batch_size: "auto" });
    expect(first.start.config).toMatchObject({ batch_size: 8, grad_accumulation: 4 });
    expect(first.start.batch_reason).toMatch(/^8: no more of a step's 32 fits /);
    vi.restoreAllMocks();
    const asked = await train(text, { ...settings, batch_size: 8, grad_accumulation: 4 });
    const expected = await steps(asked);
    const before = await steps(first, 2);
    const resume = await first.checkpoint();
    for (const training of [first, asked]) training.close();

    // There is memory for more by now.
    const second = await train(text, { device: on, resume, batch_size: "auto" });
    expect(second.start.config).toMatchObject({ batch_size: 8, grad_accumulation: 4 });
    expect(second.start.batch_reason).toBeNull();
    expect([...before, ...(await steps(second))]).toEqual(
      expected.slice(0, before.length).concat(expected.slice(resume.step)),
    );
    second.close();
    // The same options again, of which grad_accumulation is counted in the preset's batches.
    const same = { ...settings, batch_size: "auto", grad_accumulation: 1, resume } as const;
    (await train(text, same)).close();
    const again = (given: Partial<ConfigChoice>) => () => resumedConfig(resume, given);
    expect(again({ batch_size: "auto", grad_accumulation: 32 })()).toEqual(resume.config);
    expect(again({ batch_size: "auto", grad_accumulation: 16 })).toThrow(
      /^grad_accumulation makes steps of 16, but the run to resume has them of 32; leave/,
    );
    expect(again({ batch_size: 32 })).toThrow(/batch_size is 32, but the run to resume has 8/);
  },
);

test("info tells the batch", async () => {
  const flags = ["--preset", "small", "--batch-size", "auto", "--grad-accumulation", "2"];
  const { stdout, code } = await runCli(info, flags);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^batch {6}16: all of a step fits .+$/m);
  expect(stdout).toMatch(/^training +with a batch of 16: /m);
  const json = await runCli(info, [...flags, "--json"]);
  expect(parseLines(json.stdout)[0]).toMatchObject({
    config: { batch_size: 16, grad_accumulation: 1 },
  });
});

test("a sweep's models have the batch that each of them fits with", async () => {
  const wanted = { ...open("tiny", { ...tiny, format: "lines", num_steps: 1 }), val_fraction: 0 };
  const micro = { ...resolveConfig("tiny", { ...tiny, format: "lines" }), batch_size: 16 };
  const sizes = dimsOf(micro, 4);
  vi.spyOn(platform, "memory").mockReturnValue(
    hostBytes({ ...micro, grad_accumulation: 2 }, sizes, "cpu"),
  );
  const configs = [wanted, { ...wanted, n_layer: 2 }];
  const sweep = await Sweep.open({ configs, documents: ["abc", "cab"], device: "cpu" });
  const batches: number[][] = [];
  for await (const event of sweep.run())
    if (event.type === "model") batches.push(split(event.config));
  expect(batches).toEqual([
    [16, 2],
    [4, 8], // twice the activations, and weights of its own
  ]);
});
