// The best validation and the patience for a better one: what a run tells of them, keeps and goes on with.

import { afterEach, expect, test, vi } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { decodeCheckpoint, encodeCheckpoint } from "../src/files/checkpoint.ts";
import { resumedConfig } from "../src/training/resume.ts";
import { Training, type TrainingOptions } from "../src/training/train.ts";
import { finding } from "./harness/finding.ts";

const lines = ["anna", "bob", "carla", "dave", "emma", "frederic", "gus", "hannah", "ida", "jo"];

afterEach(() => {
  vi.restoreAllMocks();
});

function open(overrides: Partial<Config>, options: Partial<TrainingOptions> = {}) {
  const every = { num_steps: 20, val_fraction: 0.2, eval_every: 2, n_embd: 4, n_head: 1 };
  const config = resolveConfig("microgpt", { ...every, ...overrides });
  return Training.open({ config, documents: lines, device: "cpu", ...options });
}

/** The validations, `best` after those that are the best so far, and how it ended. */
async function told(training: Training): Promise<string[]> {
  const list: string[] = [];
  for await (const event of training.run()) {
    if (event.type === "eval") list.push(`${event.step}${event.best ? " best" : ""}`);
    if (event.type === "stop") list.push(`stop ${event.step}`);
  }
  return list;
}

test("the best is the lowest so far, the first where two are the same", async () => {
  finding([3, 2, 2, 1, 4, 1, 0.5, 9, 9, 9]);
  const training = await open({});
  expect(await told(training)).toEqual("2 best,4 best,6,8 best,10,12,14 best,16,18,20".split(","));
  expect(training.best).toEqual({ step: 14, val_loss: 0.5, later: 3 });
});

test("a run ends once so many validations in a row were no better, and says why", async () => {
  finding([3, 2, 2.5, 1, 4, 1, 0.5]);
  const training = await open({ patience: 2 });
  expect(await told(training)).toEqual("2 best,4 best,6,8 best,10,12,stop 12".split(","));
  // Asked again it trains no more.
  const again = training.run();
  expect((await again.next()).value).toMatchObject({
    type: "stop",
    reason: "patience",
    message:
      "2 validations since that after step 8 found no loss lower than its 1.0000, 1.8549 bits/byte (patience 2).",
  });
  expect((await again.next()).done).toBe(true);
  expect(training.step).toBe(12);
});

test("at the last step there is nothing to stop", async () => {
  finding([1, 2, 3]);
  expect(await told(await open({ patience: 2, num_steps: 6 }))).toEqual(["2 best", "4", "6"]);
});

test("without patience a run goes on whatever it finds", async () => {
  finding([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect((await told(await open({}))).filter((event) => event.startsWith("stop"))).toEqual([]);
});

test("a run that is resumed at any step remembers its best and how long it has waited", async () => {
  const losses = [3, 1, 2, 2.5, 0.5, 0.7, 0.8, 0.9, 1, 2];
  finding(losses);
  const whole = await told(await open({ patience: 3 }));
  expect(whole.at(-1)).toBe("stop 16");
  for (let cut = 1; cut < 16; cut++) {
    finding(losses);
    const first = await open({ patience: 3 });
    const before: string[] = [];
    for await (const event of first.run()) {
      if (event.type === "eval") before.push(`${event.step}${event.best ? " best" : ""}`);
      if (event.step === cut && (event.type === "eval" || cut % 2 === 1)) break;
    }
    const bytes = encodeCheckpoint(await first.checkpoint()).bytes;
    const resume = decodeCheckpoint(bytes, "folder");
    finding(losses.slice(before.length));
    const rest = await open({ patience: 3 }, { resume });
    expect([...before, ...(await told(rest))]).toEqual(whole);
  }
});

test("a file of before there was a best is read, one with a damaged best is not", async () => {
  const training = await open({});
  const checkpoint = await training.checkpoint();
  const write = (best: unknown) => encodeCheckpoint({ ...checkpoint, best } as never).bytes;
  expect(decodeCheckpoint(write(undefined), "folder").best).toBeNull();
  for (const best of [
    3,
    {},
    { step: 1, val_loss: "2", later: 0 },
    { step: -1, val_loss: 2, later: 0 },
  ]) {
    expect(() => decodeCheckpoint(write(best), "folder")).toThrow(/as its best/);
  }
});

test("to go on with a run whose patience is at its end takes more of it", async () => {
  finding([1, 2, 3]);
  const training = await open({ patience: 2 });
  await told(training);
  const before = await training.checkpoint();
  const labels = { patience: "--patience" };
  expect(() => resumedConfig(before, {}, labels)).toThrow(
    "--patience is 2, and the run to resume has had 2 validations since its best, after step 2. To train it further " +
      "all the same, set --patience to more, or to 0.",
  );
  expect(() => resumedConfig(before, { patience: 1 })).toThrow(/^patience is 1, and/);
  expect(resumedConfig(before, { patience: 3 }).patience).toBe(3);
  expect(resumedConfig(before, { patience: 0 }).patience).toBe(0);
});

test("patience without validations to wait for is a sentence", () => {
  const labels = {
    patience: "--patience",
    eval_every: "--eval-every",
    val_fraction: "--val-fraction",
  };
  expect(() => resolveConfig("microgpt", { patience: 3, val_fraction: 0.1 }, labels)).toThrow(
    "--patience is 3, but the run is validated at its end at most; set --eval-every to the steps between two " +
      "validations, and --val-fraction to the part of the text that is held out for them, or leave --patience at 0.",
  );
  expect(() => resolveConfig("microgpt", { patience: 3, eval_every: 5 }, labels)).toThrow(
    "nothing is held out",
  );
});
