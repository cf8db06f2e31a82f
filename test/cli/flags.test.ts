// Flags and environment variables, and the sentences for those that cannot be understood.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { main as doctor } from "../../cli/doctor.ts";
import { presetNames, presets, sizes } from "../../src/presets.ts";
import { type Env, parseFlags } from "../../cli/flags.ts";
import { main as generate } from "../../cli/generate.ts";
import { main as info } from "../../cli/info.ts";
import { nearest } from "../../src/nearest.ts";
import { unknownVariables } from "../../cli/meant.ts";
import * as options from "../../cli/options.ts";
import type { Main } from "../../cli/run.ts";
import { main as train } from "../../cli/train.ts";
import type { Config, ConfigChoice } from "../../src/config.ts";
import { settings } from "../../src/config/settings.ts";
import { parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const everything = { name: "test", summary: "", options: options.settingOptions() };
const configOf = (argv: string[], env: Env = {}): ConfigChoice =>
  parseFlags(everything, argv, env).config("microgpt");

/** A value other than the default, of any setting. */
const others: Record<keyof Config, string> = {
  format: "text",
  field: "story",
  separator: "###",
  skip_bad_lines: "true",
  val_fraction: "0.1",
  val_split: "blocks",
  tokenizer: "word",
  vocab_size: "500",
  bpe_pattern: "gpt4",
  loss_on: "all",
  skip_long: "true",
  n_layer: "2",
  n_embd: "32",
  n_head: "2",
  n_kv_head: "2",
  head_dim: "8",
  mlp_hidden: "48",
  position: "rope",
  rope_theta: "1e6",
  qk_norm: "true",
  norm_gain: "true",
  embedding_norm: "false",
  final_norm: "true",
  tie_embeddings: "true",
  logit_softcap: "15",
  dropout: "0.2",
  block_size: "8",
  activation: "relu_squared",
  rmsnorm_eps: "1e-6",
  init_std: "0.02",
  zero_init: "true",
  dtype: "f16",
  batch_size: "3",
  recompute: "true",
  grad_accumulation: "2",
  num_steps: "7",
  optimizer: "muon",
  learning_rate: "0.5",
  lr_schedule: "cosine",
  warmup_steps: "1",
  final_lr_fraction: "0.1",
  decay_fraction: "0.5",
  beta1: "0.5",
  beta2: "0.5",
  epsilon: "1e-7",
  muon_lr: "0.05",
  muon_momentum: "0.8",
  sgd_momentum: "0.8",
  weight_decay: "0.1",
  grad_clip: "1",
  lora_rank: "8",
  lora_alpha: "4",
  lora_targets: "q,v",
  seed: "7",
  temperature: "0.9",
  top_k: "7",
  top_p: "0.9",
  min_p: "0.05",
  repetition_penalty: "1.2",
  max_tokens: "50",
  num_samples: "3",
  sample_every: "5",
  log_every: "5",
  eval_every: "5",
  patience: "3",
  save_every: "5",
  save_seconds: "2.5",
};

describe("every setting", () => {
  test.each(settings.map((setting) => [setting.flag, setting] as const))(
    "--%s is a flag, and each of its environment variables works",
    (flag, { name, env, kind }) => {
      const text = others[name];
      const value = kind === "choice" || kind === "string" ? text : JSON.parse(text);
      const argv =
        kind === "boolean" ? [value ? `--${flag}` : `--no-${flag}`] : [`--${flag}`, text];
      // Without which eval_every, patience, vocab_size and what is about adapters have no meaning.
      const held: Env = {
        MICROGPT_VAL_FRACTION: "0.1",
        MICROGPT_EVAL_EVERY: "7",
        MICROGPT_TOKENIZER: "bpe",
        MICROGPT_LORA_RANK: "4",
      };
      expect(configOf(argv, held)[name]).toBe(value);
      expect(env.length).toBeGreaterThan(0);
      for (const variable of env) {
        expect(configOf([], { ...held, [variable]: text })[name]).toBe(value);
      }
    },
  );
});

test("a flag wins over the environment, the last flag over the first", () => {
  expect(configOf(["--seed", "1"], { MICROGPT_SEED: "2" }).seed).toBe(1);
  expect(configOf(["--seed=1", "--seed", "3"]).seed).toBe(3);
});

test("a setting that is true or false is switched by --zero-init and --no-zero-init", () => {
  expect(configOf(["--zero-init"]).zero_init).toBe(true);
  expect(configOf(["--no-zero-init"], { MICROGPT_ZERO_INIT: "1" }).zero_init).toBe(false);
});

test("a size is a preset of today's models, and flags win over the environment", () => {
  const withModel = {
    ...everything,
    options: [...everything.options, options.preset, options.size],
  };
  const presetOf = (argv: string[], env: Env = {}) =>
    parseFlags(withModel, argv, env).text(options.preset);
  expect(presetOf(["--size", "small"])).toBe("size-small");
  expect(presetOf([], { MICROGPT_SIZE: "tiny" })).toBe("size-tiny");
  expect(presetOf(["--preset", "small"], { MICROGPT_SIZE: "tiny" })).toBe("small");
  expect(presetOf(["--size", "large"], { MICROGPT_PRESET: "tiny" })).toBe("size-large");
  for (const size of sizes) expect(Object.keys(presets)).toContain(`size-${size}`);
});

test("a preset's settings stay where no flag replaces them", () => {
  const { block_size, num_steps } = parseFlags(everything, ["--steps", "9"], {}).config(
    "microgpt-cosine",
  );
  expect({ block_size, num_steps }).toEqual({ block_size: 8, num_steps: 9 });
});

describe("exit code 2 and a sentence for", () => {
  test.each<[string[], string]>([
    [["--stepz", "5"], "There is no flag --stepz. Did you mean --steps?"],
    [["--learning-rate", "1"], "There is no flag --learning-rate. Did you mean --lr?"],
    [["--num-steps=5"], "There is no flag --num-steps. Did you mean --steps?"],
    [["--unheard-of-thing"], "There is no flag --unheard-of-thing. --help lists the flags."],
    [["-n", "5"], "There is no flag -n."],
    [
      ["--input", "a.ts", "b.ts"],
      `"b.ts" belongs to no flag; --input is given once for each input, and a pattern in quotes.`,
    ],
    [
      ["names.txt"],
      `"names.txt" belongs to no flag. Did you mean --input names.txt? --help lists the flags.`,
    ],
    [["--", "x"], `"x" belongs to no flag`],
    [["--seed"], "--seed needs a value: --seed N."],
    [["--seed", "--json"], "--seed needs a value: --seed N."],
    [["--json=yes"], `--json takes no value, and got "yes".`],
    [["--output="], "--output is empty; give it a value."],
    [["--preset", "nano"], `There is no preset "nano"; the presets are ${presetNames}.`],
    [["--size", "huge"], `--size is "huge"; it must be tiny or small or medium or large.`],
    [
      ["--size", "tiny", "--preset", "small"],
      "--preset and --size both say what to start from; leave one of them out.",
    ],
    [["--device", "gpu"], `--device is "gpu"; it must be auto or webgpu or cpu.`],
    [["--n-layer", "-1"], `--n-layer is -1; it must be a whole number of at least 1`],
    [["--n-layer", "0"], `--n-layer is 0; it must be`],
    [["--n-layer", "1.5"], `--n-layer is 1.5; it must be`],
    [["--n-layer", "5x"], `--n-layer is "5x"; it must be`],
    [["--lr", "1e309"], `--lr is 1e309; it must be a number of at least 0.`],
    [["--lr", "0,003"], `--lr is "0,003"; it must be a number of at least 0, with a point: 0.003.`],
    [
      ["--seed", "1e20"],
      "--seed is 1e20; it must be a whole number of at least 0 and at most 9007199254740991.",
    ],
    [
      ["--eval-every", "5"],
      "--eval-every is 5, but nothing is held out to validate with; set --val-fraction to",
    ],
    [["--lr", "NaN"], `--lr is "NaN"; it must be`],
    [["--temperature", "-1"], `--temperature is -1; it must be a number of at least 0.`],
    [["--top-k", "-2"], `--top-k is -2; it must be`],
    [
      ["--n-embd", "10", "--n-head", "4"],
      "--n-embd 10 cannot be split into --n-head 4 equal heads",
    ],
  ])("train %j", async (argv, message) => {
    const output = join(temporaryFolder(), "model");
    const { code, stdout, stderr } = await runCli(train, ["--output", output, ...argv]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(`error: ${message}`);
    expect(stderr).toMatch(/^error: [^\n]*\.\n$/);
  });

  test("a bad value in the environment, by the variable's name", async () => {
    const { code, stderr } = await runCli(train, [], { MICROGPT_N_HEAD: "0" });
    expect(code).toBe(2);
    expect(stderr).toBe(
      "error: MICROGPT_N_HEAD is 0; it must be a whole number of at least 1 and at most 16777216.\n",
    );
  });

  test("the flag of another command", async () => {
    const { code, stderr } = await runCli(generate, ["--steps", "5"]);
    expect(code).toBe(2);
    expect(stderr).toContain("There is no flag --steps.");
  });

  test.each<[Main, string, string]>([
    [train, "--model-dir", "--output"],
    [generate, "--output", "--model-dir"],
  ])("what has another name here (%#)", async (main, flag, meant) => {
    const { code, stderr } = await runCli(main, [flag, "x"]);
    expect(code).toBe(2);
    expect(stderr).toContain(`There is no flag ${flag}. Did you mean ${meant}?`);
  });

  test("a folder without its flag", async () => {
    const { code, stderr } = await runCli(generate, ["my model"]);
    expect(code).toBe(2);
    expect(stderr).toContain(`"my model" belongs to no flag. Did you mean --model-dir 'my model'?`);
  });
});

describe("environment variables of train", () => {
  const run = async (env: Env) => {
    const argv = ["--steps", "1", "--num-samples", "0", "--json"];
    const outcome = await runCli(train, argv, { MICROGPT_DEVICE: "cpu", ...env });
    expect(outcome.stderr).toBe("");
    return parseLines(outcome.stdout);
  };

  test.each([["MICROGPT_OUTPUT"], ["MICROGPT_CHECKPOINT_PATH"]])("%s", async (name) => {
    const output = temporaryFolder();
    expect((await run({ [name]: output })).at(-1)!.model_dir).toBe(output);
  });

  test.each([["MICROGPT_INPUT_PATH"], ["MICROGPT_INPUT"]])("%s", async (name) => {
    const MICROGPT_OUTPUT = temporaryFolder();
    const input = join(MICROGPT_OUTPUT, "input.txt");
    writeFileSync(input, "ab\nba\ncab\n");
    const events = await run({ [name]: input, MICROGPT_OUTPUT });
    expect(events[0]).toMatchObject({ num_docs: 3, vocab_size: 4 });
  });

  test("MICROGPT_PRESET", async () => {
    const events = await run({
      MICROGPT_PRESET: "microgpt-cosine",
      MICROGPT_OUTPUT: temporaryFolder(),
    });
    expect(events[0]).toMatchObject({ num_params: 4064, config: { lr_schedule: "cosine" } });
  });
});

test("a MICROGPT_ variable that no command reads gets one line of warning", async () => {
  expect(unknownVariables({ MICROGPT_SEDE: "1", MICROGPT_STEPS: "1", HOME: "/" })).toEqual([
    "warning: The environment variable MICROGPT_SEDE is not known and has no effect. " +
      "Did you mean MICROGPT_SEED?\n",
  ]);
  // That all begin alike makes none of them near.
  expect(unknownVariables({ MICROGPT_JSON: "1" })[0]).toMatch(/has no effect\.\n$/);
  const { code, stderr } = await runCli(info, ["--help"], { MICROGPT_WHATEVER_ELSE: "1" });
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr:
      "warning: The environment variable MICROGPT_WHATEVER_ELSE is not known and has no effect.\n",
  });
});

describe("--help", () => {
  test.each<[string, Main]>([
    ["train", train],
    ["generate", generate],
    ["info", info],
    ["doctor", doctor],
  ])("of %s goes to stdout with exit code 0", async (name, main) => {
    for (const flag of ["--help", "-h"]) {
      const { code, stdout, stderr } = await runCli(main, [flag]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain(`Usage: npm run ${name} -- [flags]`);
    }
  });

  test("of train lists every setting with its default, the common ones first, and the presets", async () => {
    const { stdout } = await runCli(train, ["--help"]);
    for (const { flag, kind } of settings) {
      const spelled = kind === "boolean" ? `--[no-]${flag}` : `--${flag} `;
      const line = stdout.split("\n").find((line) => line.trimStart().startsWith(spelled));
      expect(line).toMatch(/\(default: .+\)$/);
    }
    const titles = ["Options:", "Common settings:", "Model:", "Training:", "Presets, "];
    const places = titles.map((title) => stdout.indexOf(`\n${title}`));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
    expect(stdout).toMatch(/^ {2}microgpt +.*\(4,192 parameters, .* KiB\)$/m);
    expect(stdout).toMatch(/^ {2}llama-15m +.*\(15,191,712 parameters, .* GiB\)$/m);
    expect(stdout).toMatch(/^ +n-layer 6, n-embd 288, n-head 6, block-size 256, batch-size 32,/m);
    for (const name of Object.keys(presets)) expect(stdout).toContain(`\n  ${name} `);
  });
});

test("the nearest name is the one with the fewest changed letters, if they are few", () => {
  expect(nearest("sede", ["seed", "steps"])).toBe("seed");
  expect(nearest("stpes", ["seed", "steps"])).toBe("steps");
  expect(nearest("xyz", ["seed", "steps"])).toBeUndefined();
});
