// A file of settings: what it sets, what wins over it, and the sentence for one that cannot be used.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Env, parseFlags } from "../../cli/flags.ts";
import { main as info } from "../../cli/info.ts";
import * as options from "../../cli/options.ts";
import { main as sweep } from "../../cli/sweep.ts";
import { main as train } from "../../cli/train.ts";
import { resolveConfig } from "../../src/config.ts";
import { settings } from "../../src/config/settings.ts";
import { metadataOf } from "../../src/files/model_files.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const everything = {
  name: "test",
  summary: "",
  options: [options.preset, options.configFile, ...options.settingOptions()],
};

function fileOf(content: object | string): string {
  const path = join(temporaryFolder(), "run.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

function configOf(content: object, argv: string[] = [], env: Env = {}) {
  const flags = parseFlags(everything, ["--config", fileOf(content), ...argv], env);
  return flags.config(flags.text(options.preset));
}

test("a file sets settings and the preset; variables win over it, and flags over both", () => {
  const file = { preset: "tiny", n_layer: 3, learning_rate: 0.5, zero_init: true };
  const tiny = resolveConfig("tiny", { n_layer: 3, learning_rate: 0.5, zero_init: true });
  expect(configOf(file)).toEqual({ ...tiny, format: "auto", val_fraction: "auto" });
  const env = { MICROGPT_N_LAYER: "4", MICROGPT_LR: "0.25" };
  expect(configOf(file, ["--lr", "1", "--no-zero-init"], env)).toMatchObject({
    n_layer: 4,
    learning_rate: 1,
    zero_init: false,
  });
  expect(configOf(file, ["--preset", "small"])).toMatchObject({ n_embd: 64, n_layer: 3 });
});

test("every setting may stand in a file, as a saved model's config.json has it", () => {
  const config = resolveConfig("microgpt", { seed: 7 });
  const tokenizer = new CharTokenizer(["a"]);
  const saved = JSON.parse(metadataOf({ config, tokenizer, step: 5 }).config);
  expect(Object.keys(saved)).toEqual(expect.arrayContaining(settings.map(({ name }) => name)));
  expect(configOf(saved)).toEqual(config);
});

test("train and info take it, and so does a variable that names it", async () => {
  const path = fileOf({ n_layer: 2, num_steps: 1, num_samples: 0 });
  const output = join(temporaryFolder(), "model");
  const argv = ["--device", "cpu", "--output", output, "--json"];
  const trained = await runCli(train, argv, { MICROGPT_CONFIG: path });
  expect(parseLines(trained.stdout)[0]).toMatchObject({ config: { n_layer: 2, num_steps: 1 } });
  const told = await runCli(info, ["--config", path, "--json"]);
  expect(JSON.parse(told.stdout)).toMatchObject({ config: { n_layer: 2 } });
});

describe("exit code 2 and a sentence for", () => {
  test.each<[object | string, string]>([
    [{ n_embed: 3 }, `PATH: There is no setting "n_embed". Did you mean n_embd?`],
    [{ lr: 3 }, `PATH: There is no setting "lr". Did you mean learning_rate?`],
    [{ step: 3 }, `PATH: There is no setting "step".`],
    [{ n_layer: "3" }, `n_layer (PATH) is "3"; it must be a whole number`],
    [{ n_layer: 0 }, `n_layer (PATH) is 0; it must be a whole number of at least 1`],
    [{ n_layer: null }, `n_layer (PATH) is null; it must be a whole number`],
    [{ zero_init: "true" }, `zero_init (PATH) is "true"; it must be true or false.`],
    [{ activation: "silu" }, `activation (PATH) is "silu"; it must be relu or`],
    [`{"learning_rate": 1e309}`, `learning_rate (PATH) is Infinity; it must be a number`],
    [{ beta1: 0.99999999 }, `beta1 (PATH) is 0.99999999, but it is used as a float32`],
    [{ preset: 3 }, `preset (PATH) is 3; it must be the name of a preset.`],
    [{ preset: "nano" }, `There is no preset "nano"; the presets are`],
    [
      { n_embd: 10, n_head: 3 },
      `n_embd (PATH) 10 cannot be split into n_head (PATH) 3 equal heads`,
    ],
    [`[1]`, `The settings PATH are [1] and no object. --config takes a JSON file of settings`],
    [`{"seed": 1, "seed": 2}`, `The settings PATH are not usable JSON (the key "seed" is there`],
    [`{`, `The settings PATH are not usable JSON (`],
    [`x\n`, `The settings PATH are not usable JSON (`],
    [`{"__proto__": 1}`, `The settings PATH are not usable JSON (the key "__proto__" is not`],
    [" ".repeat(300_000), "The settings PATH have 300,000 bytes, which no settings need."],
  ])("%j", async (content, message) => {
    const path = fileOf(content);
    const { code, stdout, stderr } = await runCli(train, ["--config", path]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(`error: ${message.replaceAll("PATH", path)}`);
    expect(stderr).toMatch(/^error: [^\n]*[.?]\n$/);
  });

  test("no file, a folder, no text, no name", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "inner"));
    writeFileSync(join(folder, "bytes"), Uint8Array.of(0x7b, 0xff));
    for (const [name, message] of [
      ["none", "cannot be read: there is no such file or folder (ENOENT)."],
      ["inner", "cannot be read: it is a folder (EISDIR)."],
      ["bytes", "are not usable JSON (it is no UTF-8 text)."],
    ]) {
      const path = join(folder, name);
      const { code, stderr } = await runCli(info, ["--config", path]);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
    }
    expect((await runCli(info, ["--config="])).stderr).toBe(
      "error: --config is empty; give it a value.\n",
    );
  });

  test("a setting that the command has no use for", async () => {
    const path = fileOf({ save_every: 1 });
    const { code, stderr } = await runCli(sweep, ["--config", path]);
    expect(code).toBe(2);
    expect(stderr).toBe(
      `error: save_every (${path}) has no meaning for this command; leave save_every out.\n`,
    );
  });
});
