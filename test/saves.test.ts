// When a run asks to be saved: by time, and before what may end it; and a validation that a signal ends.

import { afterEach, describe, expect, test, vi } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { ModelFileError } from "../src/errors.ts";
import {
  type Checkpoint,
  checkSavable,
  decodeCheckpoint,
  encodeCheckpoint,
} from "../src/files/checkpoint.ts";
import { headBytes, MAX_HEADER } from "../src/files/safetensors.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import { CpuTrainer } from "../src/training/cpu_trainer.ts";
import { resumedConfig } from "../src/training/resume.ts";
import { Training, type TrainingOptions } from "../src/training/train.ts";

const lines = ["anna", "bob", "carla", "dave", "emma", "frederic", "gus", "hannah", "ida", "jo"];
const devices = ["cpu", "webgpu"] as const;
type Event = { type: string; step: number; due?: string };

function open(
  device: (typeof devices)[number],
  overrides: Partial<Config>,
  options: Partial<TrainingOptions> = {},
) {
  const config = resolveConfig("microgpt", { num_steps: 12, ...overrides });
  return Training.open({ config, documents: lines, device, ...options });
}

afterEach(() => {
  vi.restoreAllMocks();
});

/** Runs with a clock that goes on by so many seconds at each step that is told; a save takes an hour. */
async function timed(training: Training, seconds: number) {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const events: Event[] = [];
  const states: Checkpoint[] = [];
  for await (const event of training.run()) {
    events.push(event);
    if (event.type === "step") now += 1000 * seconds;
    if (event.type !== "save") continue;
    expect(training.step).toBe(event.step);
    states.push(await training.checkpoint());
    now += 3_600_000;
  }
  vi.restoreAllMocks();
  training.close();
  return { events, states };
}

const savesOf = (events: Event[]) =>
  events.filter(({ type }) => type === "save").map(({ step, due }) => `${step} ${due}`);

describe("a save by time", () => {
  test("is due once save_seconds have passed since the last one, by default after a minute", async () => {
    const minute = await timed(await open("cpu", {}), 20);
    expect(savesOf(minute.events)).toEqual(["3 time", "6 time", "9 time"]);
    expect(minute.states.map(({ step }) => step)).toEqual([3, 6, 9]);
    const each = await timed(await open("cpu", { save_seconds: 0.5 }), 20);
    expect(savesOf(each.events)).toHaveLength(11); // the last step's save is the end's
    const off = await timed(await open("cpu", { save_seconds: 0 }), 1e6);
    expect(savesOf(off.events)).toEqual([]);
  });

  test("counts from a save by steps too, and none comes twice after a step", async () => {
    const { events } = await timed(await open("cpu", { save_every: 5, save_seconds: 60 }), 20);
    expect(savesOf(events)).toEqual(["3 time", "5 steps", "8 time", "10 steps"]);
    const both = await timed(await open("cpu", { save_every: 3, save_seconds: 60 }), 20);
    expect(savesOf(both.events)).toEqual(["3 steps", "6 steps", "9 steps"]);
  });

  test.each(devices)("changes nothing of the run, and can be gone on from: %s", async (device) => {
    for (const overrides of [{}, { n_embd: 48, batch_size: 2 }]) {
      const settings = { ...overrides, val_fraction: 0.2, eval_every: 5 };
      const plain = await timed(await open(device, { ...settings, save_seconds: 0 }), 1);
      const saved = await timed(await open(device, { ...settings, save_seconds: 2 }), 1);
      const rest = (events: Event[]) => events.filter(({ type }) => type !== "save");
      expect(rest(saved.events)).toEqual(rest(plain.events));
      expect(saved.states.length).toBeGreaterThan(1);
      const [state] = saved.states;
      const resume = decodeCheckpoint(encodeCheckpoint(state).bytes, "here");
      const { events } = await timed(await open(device, resume.config, { resume }), 1);
      const from = rest(plain.events).findIndex((event) => event.step > state.step);
      expect(rest(events)).toEqual(rest(plain.events).slice(from));
    }
  });
});

describe.each(devices)("a validation that a signal ends: %s", (device) => {
  test.each([
    ["lines", {}],
    ["a larger model", { n_embd: 48 }],
  ])("%s", async (_, overrides) => {
    const settings = { ...overrides, num_steps: 6, val_fraction: 0.9, save_seconds: 0 };
    const whole = await timed(await open(device, settings), 0);
    expect(savesOf(whole.events)).toEqual(["6 validation"]);

    // Of nine batches it sees the beginning.
    const training = await open(device, settings);
    const stop = new AbortController();
    const check = stop.signal.throwIfAborted;
    let batches = 0;
    stop.signal.throwIfAborted = () => {
      if (++batches === 2) stop.abort();
      check.call(stop.signal);
    };
    const events: Event[] = [];
    for await (const event of training.run(stop.signal)) events.push(event);
    expect(batches).toBe(2);
    expect(events).toEqual(whole.events.slice(0, -1));
    const resume = await training.checkpoint();
    expect(resume).toMatchObject({ step: 6, validated: false });
    training.close();

    // It is done by the run that goes on, and then all is.
    const config = resumedConfig(resume);
    const rest = await open(device, config, { resume });
    const after: Event[] = [];
    for await (const event of rest.run()) after.push(event);
    expect(after.at(-1)).toEqual(whole.events.at(-1));
    expect(after.map(({ type }) => type)).toEqual(["save", "eval"]);
    const done = await rest.checkpoint();
    rest.close();
    expect(done.validated).toBe(true);
    expect(() => resumedConfig(done)).toThrow(/has done all its 6 steps/);
  });
});

test("a validation in mid-run that a signal ends is the first of the run that goes on", async () => {
  const settings = { eval_every: 5, val_fraction: 0.5, save_seconds: 0 };
  const whole = await timed(await open("cpu", settings), 0);
  const training = await open("cpu", settings);
  const stop = new AbortController();
  const events: Event[] = [];
  for await (const event of training.run(stop.signal)) {
    events.push(event);
    if (event.step === 5) stop.abort();
  }
  const resume = await training.checkpoint();
  expect(resume).toMatchObject({ step: 5, validated: false });
  const rest = await timed(await open("cpu", resume.config, { resume }), 0);
  expect([...events, ...rest.events]).toEqual(whole.events);
});

test("an error of a validation is none of the signal's, even if one came", async () => {
  const training = await open("cpu", { val_fraction: 0.5 });
  const stop = new AbortController();
  vi.spyOn(CpuTrainer.prototype, "evaluate").mockImplementation(() => {
    stop.abort();
    return Promise.reject(new Error("another"));
  });
  const all = async () => {
    for await (const _ of training.run(stop.signal));
  };
  await expect(all()).rejects.toThrow("another");
});

describe("what could not be saved is refused before it is trained", () => {
  /** A text of so many different characters. */
  const wide = (n: number) =>
    String.fromCodePoint(...Array.from({ length: n }, (_, i) => 0x10000 + i));
  const config = resolveConfig("microgpt", { n_embd: 2, n_head: 1, block_size: 1, num_steps: 1 });
  /** So that a test need not fill what is read back. */
  const LARGEST = 2 ** 16;

  test("names that are longer than the header that is read", async () => {
    const input = ["x".repeat(MAX_HEADER)];
    const training = Training.open({ config, documents: ["a"], input, device: "cpu" });
    await expect(training).rejects.toThrow(ModelFileError);
    await expect(training).rejects.toThrow(
      /^The model could not be saved: the header of its file would have \d+ bytes, and -?\d+ can be read back\..* or a text with fewer different characters\.$/,
    );
  });

  test("and what is not refused can be saved, up to the last character", async () => {
    let [good, bad] = [1000, 10_000];
    while (bad - good > 10) {
      const n = (good + bad) >> 1;
      const tokenizer = CharTokenizer.fromDocuments([wide(n)]);
      try {
        checkSavable(config, tokenizer, [], LARGEST);
        good = n;
      } catch {
        bad = n;
      }
    }
    expect(good).toBeGreaterThan(1000);
    const largest = await Training.open({ config, documents: [wide(good)], device: "cpu" });
    const input = "x".repeat(4096);
    const checkpoint = {
      ...(await largest.checkpoint()),
      input: [input],
      adapter: input.slice(0, 256),
    };
    const { bytes } = encodeCheckpoint(checkpoint);
    expect(headBytes(bytes, bytes.length, "here")).toBeLessThanOrEqual(8 + LARGEST);
    expect(decodeCheckpoint(bytes, "here").tokenizer.vocab_size).toBe(good + 1);
  });
});
