// `export` and `import`: a model leaves in every format and comes back, and nothing is lost or replaced unasked.

import { spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { main as exportMain } from "../../cli/export.ts";
import { main as generate } from "../../cli/generate.ts";
import { main as importMain } from "../../cli/import.ts";
import { main as train } from "../../cli/train.ts";
import { exportFormats } from "../../src/exchange/formats.ts";
import { loadModel, saveModel } from "../../src/files/model_dir.node.ts";
import { modelOf, shapes } from "../exchange/folders.ts";
import { parseLines, runCli } from "./fake_io.ts";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "microgpt-test-"));
  saveModel(at("model"), modelOf(shapes.microgpt));
  saveModel(at("llama"), modelOf(shapes.llama));
});

afterAll(() => rmSync(folder, { recursive: true }));

const exporting = (format: string, output: string, ...more: string[]) =>
  runCli(exportMain, ["--model-dir", at("model"), "--format", format, "--output", output, ...more]);
const importing = (source: string, output: string, ...more: string[]) =>
  runCli(importMain, [source, "--output", output, ...more]);
const weights = (name: string) => readFileSync(at(name, "model.safetensors"));

test.each(["huggingface", "weights-json", "python"])(
  "%s: there and back, and no other file",
  async (format) => {
    const output = at(format === "python" ? "there.py" : `there-${format}`);
    const out = await exporting(format, output);
    expect(out).toMatchObject({ code: 0, stderr: "" });
    expect(out.stdout).toContain(output);
    const back = await importing(output, at(`back-${format}`));
    expect(back).toMatchObject({ code: 0, stderr: "" });
    expect(back.stdout).toMatch(
      /^imported .* 1,760 parameters, char of 11 tokens, a context of 6\nsaved /,
    );
    expect(weights(`back-${format}`)).toEqual(weights("model"));
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    const samples = async (name: string) =>
      (await runCli(generate, ["--model-dir", at(name), "--device", "cpu"])).stdout;
    expect(await samples(`back-${format}`)).toBe(await samples("model"));
  },
);

test("--json tells the files and what was said", async () => {
  const { stdout } = await exporting("huggingface", at("json"), "--json", "--half");
  const [told] = parseLines(stdout);
  expect(told).toMatchObject({ format: "huggingface", output: at("json") });
  expect(told.files.map(({ name }: { name: string }) => name).toSorted()).toEqual(
    readdirSync(at("json")).toSorted(),
  );
  for (const { name, size } of told.files)
    expect(readFileSync(at("json", name))).toHaveLength(size);
  expect(told.notes).toEqual([expect.stringMatching(/trust_remote_code=True/)]);
  const back = await importing(at("json"), at("json-back"), "--json");
  expect(parseLines(back.stdout)).toEqual([
    {
      source: at("json"),
      output: at("json-back"),
      num_params: 1760,
      vocab_size: 11,
      block_size: 6,
      notes: [],
    },
  ]);
});

describe("nothing is replaced unasked", () => {
  test("files that are there", async () => {
    writeFileSync(at("mine.py"), "print(1)");
    const refused = await exporting("python", at("mine.py"));
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(
      /^error: Nothing is exported to .*mine\.py: it is there already; --overwrite/,
    );
    expect(readFileSync(at("mine.py"), "utf8")).toBe("print(1)");
    expect((await exporting("python", at("mine.py"), "--overwrite")).code).toBe(0);
    expect(readFileSync(at("mine.py"), "utf8")).toContain("MODEL = ");

    mkdirSync(at("mine"));
    expect((await exporting("weights-json", at("mine"))).code).toBe(0); // it is empty
    writeFileSync(at("mine", "notes.txt"), "mine");
    const again = await exporting("weights-json", at("mine"));
    expect(again.stderr).toMatch(
      /it holds files already; --overwrite replaces those of the same names/,
    );
    expect((await exporting("weights-json", at("mine"), "--overwrite")).code).toBe(0);
    expect(readFileSync(at("mine", "notes.txt"), "utf8")).toBe("mine");
  });

  test("a model as it was trained, even by --overwrite", async () => {
    const before = weights("llama");
    for (const format of ["huggingface", "weights-json"]) {
      const { code, stderr } = await exporting(format, at("llama"), "--overwrite");
      expect(code).toBe(1);
      expect(stderr).toMatch(/it holds a model as it was trained/);
    }
    expect(weights("llama")).toEqual(before);
  });

  test("a file of such a model, even by --overwrite, by its name or by a link", async () => {
    const before = weights("llama");
    symlinkSync(at("llama", "model.safetensors"), at("link.py"));
    for (const output of [at("llama", "model.safetensors"), at("link.py")]) {
      const { code, stderr } = await exporting("python", output, "--overwrite");
      expect([code, stderr]).toEqual([1, expect.stringMatching(/it is a part of a model as it/)]);
    }
    expect(weights("llama")).toEqual(before);
    expect((await exporting("python", at("llama", "own.py"))).code).toBe(0);
  });

  test("what is no file, and what a link leads to that is not there", async () => {
    const pipe = at("pipe");
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
    const { stderr } = await exporting("python", pipe, "--overwrite");
    expect(stderr).toMatch(/pipe: it is no file that could be replaced/);
    symlinkSync("nowhere", at("dangling"));
    for (const format of ["python", "weights-json"]) {
      const { stderr } = await exporting(format, at("dangling"), "--overwrite");
      expect(stderr).toMatch(/dangling: it is a link to what is not there/);
    }
  });

  test("links stay, and what they lead to is written", async () => {
    mkdirSync(at("real"));
    symlinkSync("real", at("linked"));
    symlinkSync(join("real", "file.py"), at("linked.py"));
    expect((await exporting("weights-json", at("linked"))).code).toBe(0);
    writeFileSync(at("real", "file.py"), "");
    expect((await exporting("python", at("linked.py"), "--overwrite")).code).toBe(0);
    expect(readFileSync(at("real", "file.py"), "utf8")).toContain("MODEL = ");
    expect(readdirSync(at("real")).toSorted()).toEqual(["file.py", "meta.json", "weights.json"]);
    expect([at("linked"), at("linked.py")].map((path) => lstatSync(path).isSymbolicLink())).toEqual(
      [true, true],
    );
  });

  test("weights of an export in another format", async () => {
    await exporting("huggingface", at("both"));
    const before = weights("both");
    expect((await exporting("weights-json", at("both"), "--overwrite")).code).toBe(0);
    expect(weights("both")).toEqual(before);
  });

  test("one that was exported, by a run or an import", async () => {
    await exporting("huggingface", at("exported"));
    const before = readdirSync(at("exported"));
    const imported = await importing(at("exported"), at("exported"));
    expect(imported.stderr).toMatch(/holds a model\.safetensors that this program did not write/);
    const trained = await runCli(train, [
      "--output",
      at("exported"),
      "--steps",
      "1",
      "--device",
      "cpu",
    ]);
    expect(trained.stderr).toMatch(/holds a model\.safetensors that this program did not write/);
    expect(readdirSync(at("exported"))).toEqual(before);
  });

  test("weights in several files that are one file now go", async () => {
    await exporting("huggingface", at("shards"));
    const name = "model-00001-of-00002.safetensors";
    writeFileSync(at("shards", name), "");
    const weight_map = { a: name, b: "../llama/model.safetensors" };
    writeFileSync(at("shards", "model.safetensors.index.json"), JSON.stringify({ weight_map }));
    expect((await exporting("huggingface", at("shards"), "--overwrite")).code).toBe(0);
    expect(existsSync(at("shards", name))).toBe(false);
    expect(existsSync(at("shards", "model.safetensors.index.json"))).toBe(false);
    expect(existsSync(at("llama", "model.safetensors"))).toBe(true);
  });

  test("a model in the folder that is imported into is kept aside", async () => {
    await exporting("python", at("aside.py"));
    saveModel(at("aside"), modelOf({ ...shapes.microgpt, seed: 9 }));
    const { stdout } = await importing(at("aside.py"), at("aside"));
    expect(stdout).toContain(`is now in ${at("aside", "earlier-1")}`);
    expect(loadModel(at("aside", "earlier-1")).config.seed).toBe(9);
    await importing(at("aside.py"), at("aside"), "--overwrite");
    expect(existsSync(at("aside", "earlier-2"))).toBe(false);
  });
});

test("--block-size is a shorter context, where positions are turned", async () => {
  const llama = ["--model-dir", at("llama"), "--format", "huggingface", "--output", at("long")];
  await runCli(exportMain, llama);
  expect((await importing(at("long"), at("short"), "--block-size", "4")).code).toBe(0);
  expect(loadModel(at("short")).config.block_size).toBe(4);
  expect(loadModel(at("short")).values).toEqual(loadModel(at("llama")).values);
  const longer = await importing(at("long"), at("longer"), "--block-size", "7");
  expect(longer).toMatchObject({ code: 2, stdout: "" });
  expect(longer.stderr).toMatch(
    /--block-size is 7, and the context of the model is 6: it may be shorter/,
  );
  expect(existsSync(at("longer"))).toBe(false);
  await exporting("python", at("learned.py"));
  const learned = await importing(at("learned.py"), at("learned"), "--block-size", "4");
  expect(learned.stderr).toMatch(/its positions are learned, so it stays/);
});

test.each<[string[], number, RegExp]>([
  [
    ["--format", "pythn", "--output", "x"],
    2,
    /--format is "pythn"; it must be .* Did you mean python\?/,
  ],
  [["--output", "x"], 2, /In which format\? Give --format huggingface or /],
  [["--format", "python"], 2, /Where to\? Give --output PATH, the file\./],
  [
    ["--format", "python", "--half", "--output", "x"],
    2,
    /The format python has no weights in half precision/,
  ],
  [
    ["--format", "python", "--output", "."],
    1,
    /Nothing is exported to \.: it is a folder, and a file is written/,
  ],
  [["--format", "python", "--output", "x", "--model-dir", "nowhere"], 1, /nowhere holds no model/],
])("export %j is refused", async (argv, code, sentence) => {
  const refused = await runCli(exportMain, argv);
  expect(refused).toMatchObject({ code, stdout: "" });
  expect(refused.stderr).toMatch(sentence);
  expect(existsSync("x")).toBe(false);
});

test("import refuses what is nothing of the kind, and makes no folder for it", async () => {
  const name = (file: string, text = "") => {
    writeFileSync(at(file), text);
    return at(file);
  };
  mkdirSync(at("empty"));
  await exporting("huggingface", at("other"));
  type Case = [argv: string[], code: number, sentence: RegExp];
  const cases: Case[] = [
    [[], 2, /What is to be imported\? Name it: .*import.* SOURCE/],
    [[at("nowhere")], 1, /There is no .*nowhere\. What can be imported is .*; nothing is fetched/],
    [[at("empty")], 1, /empty is nothing that can be imported\. That is: .*a Hugging Face folder/],
    [[name("a.txt")], 1, /a\.txt is nothing that can be imported/],
    [[name("a.safetensors")], 1, /a\.safetensors holds weights, .* import their folder\./],
    [[name("a.json", "{")], 1, /a\.json is not usable JSON/],
    [[name("a.py", "print(1)")], 1, /a\.py is no program that was exported here/],
    [[at("llama")], 1, /llama holds a model of this program, which needs no import: .*generate/],
    ...(spawnSync("mkfifo", [at("pipe.json")]).status === 0
      ? [[[at("pipe.json")], 1, /pipe\.json cannot be read: it is no file/] as Case]
      : []),
    [[at("other"), "more"], 2, /"more" belongs to no flag/],
  ];
  for (const [argv, code, sentence] of cases) {
    const refused = await runCli(importMain, [...argv, "--output", at("none")]);
    expect({ argv, ...refused }).toMatchObject({ argv, code, stdout: "" });
    expect(refused.stderr).toMatch(sentence);
    expect(existsSync(at("none"))).toBe(false);
  }
});

test("a folder of a GGUF is imported as its file is", async () => {
  const words = ["--model-dir", at("llama"), "--format", "gguf", "--output", at("gguf")];
  await runCli(exportMain, words);
  expect(await importing(at("gguf"), at("of-folder"))).toMatchObject({ code: 0, stderr: "" });
  expect(weights("of-folder")).toEqual(weights("llama"));
});

test("what Git leaves in the place of a large file is told from one", async () => {
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n";
  await exporting("huggingface", at("pointer"));
  for (const path of [at("pointer", "model.safetensors"), at("pointer.gguf")]) {
    writeFileSync(path, pointer);
    const source = path.endsWith(".gguf") ? path : at("pointer");
    const { code, stderr } = await importing(source, at("never"));
    expect(code).toBe(1);
    expect(stderr).toContain(`${path} is not the file itself but what Git has in its place.`);
  }
  expect(existsSync(at("never"))).toBe(false);
});

test("a command that is given an exported folder says what to do with it", async () => {
  await exporting("huggingface", at("as-model"), "--half");
  const { code, stderr } = await runCli(generate, ["--model-dir", at("as-model")]);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /as-model holds a model in Hugging Face's layout\. .*import .*as-model --output ANOTHER/,
  );
});

test("the formats that are listed are those that there are", async () => {
  const { stdout } = await runCli(exportMain, ["--help"]);
  for (const name of Object.keys(exportFormats)) expect(stdout).toContain(`${name} (`);
});
