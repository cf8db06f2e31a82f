// Settings: what they may be, and the sentence for what they may not.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { aside, settings } from "../src/config/settings.ts";
import { describeRange, parseSetting } from "../src/config/values.ts";
import { ConfigError } from "../src/errors.ts";
import { presetNames, presets } from "../src/presets.ts";

const setting = (name: keyof Config) => settings.find((setting) => setting.name === name)!;

test("every setting of a preset is in the table, and every one of the table in each preset", () => {
  const names = settings.map(({ name }) => name).sort();
  for (const preset of Object.values(presets)) expect(Object.keys(preset).sort()).toEqual(names);
});

test("every preset keeps to the limits of the table", () => {
  for (const [name, preset] of Object.entries(presets)) expect(resolveConfig(name)).toEqual(preset);
});

test("flags and environment variables are unique", () => {
  const flags = settings.map(({ flag }) => flag);
  const variables = settings.flatMap(({ env }) => env);
  expect(new Set(flags).size).toBe(flags.length);
  expect(new Set(variables).size).toBe(variables.length);
});

test("the preset of the earlier revision has its settings", () => {
  expect(resolveConfig("microgpt-cosine")).toMatchObject({
    block_size: 8,
    init_std: 0.02,
    zero_init: true,
    activation: "relu_squared",
    lr_schedule: "cosine",
    num_steps: 500,
    beta1: 0.9,
    beta2: 0.95,
  });
});

describe("a text becomes", () => {
  test.each<[keyof Config, string, unknown]>([
    ["n_layer", "3", 3],
    ["n_layer", " 3 ", 3],
    ["num_steps", "1e3", 1000],
    ["learning_rate", "0", 0],
    ["learning_rate", ".5", 0.5],
    ["learning_rate", "3e-4", 3e-4],
    ["grad_clip", "+1.", 1],
    ["zero_init", "true", true],
    ["zero_init", "0", false],
    ["lr_schedule", "constant", "constant"],
    ["temperature", "0", 0],
    ["temperature", "1.5", 1.5],
  ])("%s %j: %j", (name, text, value) => {
    expect(parseSetting(setting(name), text, "--x")).toBe(value);
  });
});

describe("a sentence for", () => {
  test.each<[keyof Config, string]>([
    ["n_layer", "0"],
    ["n_layer", "-1"],
    ["n_layer", "1.5"],
    ["n_layer", "5x"],
    ["n_layer", "0x10"],
    ["n_layer", ""],
    ["n_layer", "NaN"],
    ["n_layer", "1e309"],
    ["n_layer", "16777217"],
    ["num_steps", "9007199254740993"],
    ["seed", "-1"],
    ["learning_rate", "-0.1"],
    ["learning_rate", "Infinity"],
    ["learning_rate", "1e309"],
    ["temperature", "-0.5"],
    ["top_k", "-1"],
    ["top_p", "0"],
    ["top_p", "1.1"],
    ["min_p", "-0.1"],
    ["min_p", "2"],
    ["repetition_penalty", "0"],
    ["repetition_penalty", "1e-310"], // a logit divided by it is infinite
    ["repetition_penalty", "-1"],
    ["max_tokens", "1.5"],
    ["beta1", "1"],
    ["beta1", "0.99999999"],
    ["beta2", "0.99999999"],
    ["beta2", "1e-40"],
    ["epsilon", "1e-50"],
    ["epsilon", "1e-39"], // less than the smallest that every GPU can tell from 0
    ["rmsnorm_eps", "1e-46"],
    ["rmsnorm_eps", "1e39"],
    ["grad_clip", "1e-46"],
    ["weight_decay", "1e39"],
    ["init_std", "1e39"],
    ["learning_rate", "1e39"],
    ["learning_rate", "1e-50"],
    ["val_fraction", "1"],
    ["val_fraction", "-0.1"],
    ["eval_every", "-1"],
    ["format", "words"],
    ["epsilon", "0"],
    ["zero_init", "yes"],
    ["lr_schedule", "toString"],
  ])("%s %j", (name, text) => {
    const parse = () => parseSetting(setting(name), text, "--x");
    expect(parse).toThrow(ConfigError);
    expect(parse).toThrow(/^--x is .+; it must be .+\.$/);
  });

  test.each([[null], ["5"], [Number.NaN], [1.5], [[1]], [{}], [true]])(
    "the value %j in a program or file",
    (value) => {
      const overrides = { n_embd: value } as unknown as Partial<Config>;
      expect(() => resolveConfig("microgpt", overrides)).toThrow(/^n_embd is .+ whole number/);
    },
  );

  test.each([["micro"], ["toString"], ["__proto__"], [""]])("the preset %j", (preset) => {
    expect(() => resolveConfig(preset)).toThrow(
      `There is no preset "${preset}"; the presets are ${presetNames}.`,
    );
  });

  test("a width that the heads cannot share, with one that they can", () => {
    expect(() =>
      resolveConfig("microgpt", { n_embd: 10, n_head: 4 }, { n_embd: "--n-embd" }),
    ).toThrow("--n-embd 10 cannot be split into n_head 4 equal heads");
    expect(() => resolveConfig("microgpt", { n_embd: 10, n_head: 4 })).toThrow("such as 12.");
  });
});

test("what a number becomes as a float32 is told, with what would do", () => {
  const message = (name: keyof Config, value: number) => {
    try {
      return void resolveConfig("microgpt", { [name]: value });
    } catch (error) {
      return (error as Error).message;
    }
  };
  const used = (text: string) => `${text}, but it is used as a float32, which makes`;
  expect(message("grad_clip", 1e-46)).toBe(
    `${used("grad_clip is 1e-46")} 0 of it; it must be 0 or at least 1.2e-38.`,
  );
  expect(message("epsilon", 1e-50)).toBe(
    `${used("epsilon is 1e-50")} 0 of it; it must be at least 1.2e-38.`,
  );
  expect(message("beta2", 0.99999999)).toBe(
    `${used("beta2 is 0.99999999")} 1 of it; it must be a number of at least 0 and below 1.`,
  );
  expect(message("learning_rate", 1e39)).toBe(
    `${used("learning_rate is 1e+39")} Infinity of it; it must be at most 3.4e+38.`,
  );
  expect(message("val_fraction", 1e-46)).toBeUndefined(); // of no use to a GPU
});

test("every number that is accepted is in its range as a float32 too", () => {
  const used = settings.filter(({ kind, float32 }) => kind === "number" && float32);
  const host = ["val_fraction", "final_lr_fraction", "decay_fraction"]; // no GPU reads them
  expect(used.map(({ name }) => name)).toEqual(
    settings
      .filter(
        ({ kind, name }) => kind === "number" && !host.includes(name) && !aside.includes(name),
      )
      .map(({ name }) => name),
  );
  fc.assert(
    fc.property(fc.constantFrom(...used), fc.double(), (setting, value) => {
      try {
        parseSetting(setting, String(value), "--x");
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        return;
      }
      const rounded = Math.fround(value);
      expect(rounded === 0).toBe(value === 0);
      expect(Number.isFinite(rounded)).toBe(true);
      expect(() => resolveConfig("microgpt", { [setting.name]: rounded })).not.toThrow();
    }),
  );
});

test("validations without a part to validate with are a sentence", () => {
  const labels = { eval_every: "--eval-every" };
  expect(() => resolveConfig("microgpt", { eval_every: 5 }, labels)).toThrow(
    "--eval-every is 5, but nothing is held out to validate with; set val_fraction to a part of the text",
  );
  expect(resolveConfig("microgpt", { eval_every: 5, val_fraction: 0.5 }).eval_every).toBe(5);
});

test("a range is told in words", () => {
  expect(describeRange(setting("n_layer"))).toBe(
    "a whole number of at least 1 and at most 16777216",
  );
  expect(describeRange(setting("num_steps"))).toBe("a whole number of at least 1");
  expect(describeRange(setting("temperature"))).toBe("a number of at least 0");
  expect(describeRange(setting("beta1"))).toBe("a number of at least 0 and below 1");
  expect(describeRange(setting("zero_init"))).toBe("true or false");
  expect(describeRange(setting("activation"))).toBe("relu or relu_squared or gelu or swiglu");
});
