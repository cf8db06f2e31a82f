// Models of microgpt's shape as JSON and as a program in Python, there and back.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Config, resolveConfig } from "../../src/config.ts";
import { ModelFileError, UserError } from "../../src/errors.ts";
import { exportPython, importPython } from "../../src/exchange/microgpt/python.ts";
import {
  exportWeightsJson,
  importStateDict,
  importWeightsJson,
} from "../../src/exchange/microgpt/weights_json.ts";
import { sourceOf } from "../../src/files/byte_source.ts";
import { encodeModel, type Model } from "../../src/files/model_files.ts";
import { Generator } from "../../src/generation/from_model.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { Training } from "../../src/training/train.ts";
import golden from "../golden/microgpt-names.json" with { type: "json" };
import { temporaryFolder } from "../cli/fake_io.ts";
import {
  bpe,
  chars,
  chat,
  type Files,
  filesOf,
  folderOf,
  jsonOf,
  modelOf,
  shapes,
  withJson,
} from "./folders.ts";

const bytesOf = (model: Model) => encodeModel(model).map(({ name, bytes }) => ({ name, bytes }));
const pythonOf = (model: Model) => exportPython(model).files[0].bytes;
const fromPython = (bytes: Uint8Array) => importPython(sourceOf("model.py", bytes)).model;
const quoted = new CharTokenizer(["'", '"', "\\", "\n", "\u2028", "é", "😀", "a"]);

const models: [string, Model][] = [
  ["microgpt", modelOf({ ...shapes.microgpt, learning_rate: 0.5, seed: 3 })],
  ["its earlier revision", modelOf(shapes["microgpt's earlier revision"])],
  ["a stream", modelOf({ ...shapes.microgpt, format: "text", separator: "" })],
  [
    "signs that need care",
    modelOf({ ...shapes.microgpt, format: "paragraphs", separator: "'''" }, quoted),
  ],
];

describe.each(models)("%s", (_, model) => {
  test("comes back from JSON bit for bit", () => {
    const { files, notes } = exportWeightsJson(model);
    expect(notes).toEqual([]);
    const folder = filesOf({ files, notes });
    const weights = jsonOf(folder, "weights.json");
    expect(weights.wte[1]).toEqual(Array.from(model.values.slice(8, 16)));
    expect(bytesOf(importWeightsJson(folderOf(folder)).model)).toEqual(bytesOf(model));
  });

  test("comes back from Python bit for bit", () => {
    expect(bytesOf(fromPython(pythonOf(model)))).toEqual(bytesOf(model));
  });
});

test("what others write: no settings, special tokens as a list, characters as a text", () => {
  const model = modelOf(shapes.microgpt);
  const files = filesOf(exportWeightsJson(model));
  const ways = [
    { special_tokens: ["<bos>"], chars: chars.chars.join("") },
    { special_tokens: { "<BOS>": 10 } },
    { special_tokens: undefined, chars: undefined, uchars: chars.chars },
  ];
  for (const way of ways) {
    const { model: back } = importWeightsJson(
      folderOf(withJson(files, "meta.json", { ...way, microgpt: undefined })),
    );
    expect(back.values).toEqual(model.values);
    expect(back.tokenizer.toJSON()).toEqual(model.tokenizer.toJSON());
    expect(back.config).toMatchObject({
      n_layer: 2,
      n_head: 4,
      format: "lines",
      tokenizer: "char",
    });
  }
  const special_tokens = { bos: 10, "<|user|>": 11, "<|assistant|>": 12, "<|end_turn|>": 13 };
  const talking = modelOf(
    { ...shapes.microgpt, format: "chat" },
    chars.withSpecial(chat.slice(0, 3)),
  );
  const folder = withJson(filesOf(exportWeightsJson(talking)), "meta.json", {
    special_tokens,
    microgpt: undefined,
  });
  expect(importWeightsJson(folderOf(folder)).model.config.format).toBe("chat");
});

test("microgpt.py's own names, in one file", () => {
  const model = modelOf(shapes.microgpt);
  const files = filesOf(exportWeightsJson(model));
  const { n_layer, n_embd, n_head, block_size } = model.config;
  const sizes = { uchars: chars.chars, n_layer, n_embd, n_head, block_size };
  const state_dict = jsonOf(files, "weights.json");
  const { model: back } = importStateDict({ ...sizes, state_dict }, "microgpt.json");
  expect(back.values).toEqual(model.values);
  expect(() => importStateDict(state_dict, "microgpt.json")).toThrow(
    /^microgpt\.json has no "state_dict", .* json\.dump\(dict\(uchars=uchars, .*\.$/,
  );
});

test.each<[Partial<Config>, string]>([
  [shapes.qwen3, "activation is swiglu, and microgpt has relu"],
  [shapes.nanochat, "position is rope, and microgpt has learned"],
  [{ ...shapes.microgpt, mlp_hidden: 7 }, "mlp_hidden is 7, and microgpt has 4 n_embd"],
  [{ ...shapes.microgpt, n_kv_head: 2 }, "n_kv_head is 2 and n_head 4"],
  [{ ...shapes.microgpt, head_dim: 4 }, "head_dim is 4"],
  [{ ...shapes.microgpt, rmsnorm_eps: 1e-6 }, "rmsnorm_eps is 0.000001"],
])("another shape has no place there: %j", (settings, why) => {
  for (const make of [exportWeightsJson, exportPython]) {
    expect(() => make(modelOf(settings))).toThrow(UserError);
    expect(() => make(modelOf(settings))).toThrow(why);
  }
});

test("nor has another tokenizer; nor, in Python, a conversation", () => {
  const other = modelOf(shapes.microgpt, bpe);
  for (const make of [exportWeightsJson, exportPython]) {
    expect(() => make(other)).toThrow("no place for the model's tokenizer bpe");
  }
  const talking = modelOf({ ...shapes.microgpt, format: "chat" }, chars.withSpecial(chat));
  expect(() => exportPython(talking)).toThrow("it is one of conversations");
  const { notes } = exportPython(modelOf({ ...shapes.microgpt, top_k: 3, max_tokens: 9 }));
  expect(notes).toEqual([
    "The program draws by temperature alone: top_k, top_p, min_p and repetition_penalty are left out.",
    "A document of the program has 6 tokens at most, as many as the context.",
  ]);
});

describe("files that are not what they should be", () => {
  const files = filesOf(exportWeightsJson(modelOf(shapes.microgpt)));
  const meta = (changes: object) => withJson(files, "meta.json", changes);
  const weights = (changes: object) => withJson(files, "weights.json", changes);
  const without = (name: string): Files => new Map([...files].filter(([other]) => other !== name));
  test.each<[string, Files, string]>([
    ["no sizes", without("meta.json"), "FOLDER has no meta.json"],
    ["no weights", without("weights.json"), "FOLDER has no weights.json"],
    ["a size that is another", meta({ n_embd: 16 }), "has the n_embd 16, and its settings have 8"],
    ["no n_head", meta({ microgpt: undefined, n_head: undefined }), "has no n_head"],
    ["no number", meta({ microgpt: undefined, n_head: "4" }), 'n_head is "4"'],
    [
      "a character twice",
      meta({ chars: [..."aa"] }),
      "has no characters and special tokens that can be used",
    ],
    [
      "no characters",
      meta({ chars: null }),
      "has no characters and special tokens that can be used",
    ],
    [
      "special tokens with a hole",
      meta({ special_tokens: { bos: 10, x: 12 } }),
      "special tokens that can be used",
    ],
    [
      "a character less",
      meta({ chars: chars.chars.slice(1), special_tokens: { bos: 9 } }),
      "has a vocab_size of 11, and 10 characters",
    ],
    [
      "many layers",
      meta({ microgpt: undefined, n_layer: 2 ** 24 }),
      "has fewer tensors than n_layer 16777216",
    ],
    ["a layer less", meta({ microgpt: undefined, n_layer: 1 }), 'has the tensor "layer1.attn_wq"'],
    ["no tensor", weights({ lm_head: undefined }), "lacks the tensor lm_head"],
    ["another tensor", weights({ x: [[1]] }), 'has the tensor "x"'],
    [
      "a row of another length",
      weights({ wte: [[1, 2], [3]] }),
      'rows of 2 and of 1 numbers in "wte"',
    ],
    ["another shape", weights({ wte: [[1, 2]] }), "has wte of shape (1, 2), not (11, 8)"],
    ["no rows", weights({ wte: [] }), 'has [] as "wte"'],
    ["no numbers", weights({ wte: [["a"]] }), 'has [["a"]] as "wte"'],
  ])("%s", (_, wrong, words) => {
    expect(() => importWeightsJson(folderOf(wrong))).toThrow(ModelFileError);
    expect(() => importWeightsJson(folderOf(wrong))).toThrow(words);
  });

  test("a number beyond float32", () => {
    const text = new TextDecoder().decode(files.get("weights.json")).replace("-0.0", "1e39");
    const wrong = new Map([...files, ["weights.json", new TextEncoder().encode(text)]]);
    expect(() => importWeightsJson(folderOf(wrong))).toThrow(/has Infinity in wte \(element 1\)/);
  });

  test("a program that is none of ours, or is cut", () => {
    const program = new TextDecoder().decode(pythonOf(modelOf(shapes.microgpt)));
    const read = (text: string) => () => fromPython(new TextEncoder().encode(text));
    expect(read("print(1)\n")).toThrow(
      /^model\.py is no program that was exported here: it has no MODEL/,
    );
    expect(read(program.slice(0, -500))).toThrow("it has no MODEL");
    expect(read(program.replace('\n{"meta"', '\n{"mete"'))).toThrow(`its model has no "meta"`);
    expect(read(program.replace('"wte": [[', '"wte": ['))).toThrow("its model is not usable JSON");
    expect(read(program.replaceAll("\n", "\r\n"))).not.toThrow();
  });
});

const python = ["python3", "python"].find(
  (name) => spawnSync(name, ["-c", "import json"]).status === 0,
);

describe.skipIf(python === undefined)("the program, where there is Python", () => {
  function run(program: Uint8Array, ...args: string[]) {
    const path = join(temporaryFolder(), "model.py");
    writeFileSync(path, program);
    const { stdout, stderr, status } = spawnSync(python!, [path, ...args], { encoding: "utf8" });
    return { lines: stdout.split("\n"), stderr, status };
  }

  async function samplesOf(
    model: Model,
    options: { temperature: number; seed: number; prompt?: string },
  ) {
    const generator = await Generator.open(model, "cpu");
    const texts: string[] = [];
    for await (const { text } of generator.samples({ num_samples: 4, ...options }))
      texts.push(text);
    generator.close();
    return texts.map((text, i) => `sample ${String(i + 1).padStart(2)}: ${text}`);
  }

  test.each([
    ["documents", modelOf({ ...shapes.microgpt, block_size: 9 })],
    ["relu squared", modelOf(shapes["microgpt's earlier revision"])],
    ["a stream", modelOf({ ...shapes.microgpt, format: "text" }, new CharTokenizer([..."\nabco"]))],
    ["those of a model with dropout", modelOf({ ...shapes.microgpt, dropout: 0.1 })],
    ["short ones", modelOf({ ...shapes.microgpt, max_tokens: 2 })],
  ])("its samples are ours: %s", async (_, model) => {
    const program = pythonOf(model);
    const drawn = { temperature: 0.9, seed: 11, prompt: "bo" };
    const args = ["--num-samples", "4", "--temperature", "0.9", "--seed", "11", "--prompt", "bo"];
    const { lines, stderr } = run(program, ...args);
    expect(stderr).toBe("");
    expect(lines.join("\n").trim()).toBe((await samplesOf(model, drawn)).join("\n").trim());
    const likeliest = run(program, "--num-samples", "4", "--temperature", "0");
    expect(likeliest.lines.join("\n").trim()).toBe(
      (await samplesOf(model, { temperature: 0, seed: 1 })).join("\n").trim(),
    );
  });

  test("it trains as microgpt.py does, from its first weights, and is saved with what it learnt", async () => {
    const config = resolveConfig("microgpt", {});
    const documents = readFileSync("src/text/names.txt", "utf8").trim().split("\n");
    const start = await Training.open({ config, documents, device: "cpu" });
    const folder = temporaryFolder();
    const [names, saved] = ["names.txt", "new.py"].map((name) => join(folder, name));
    writeFileSync(names, documents.join("\n"));
    const model = await start.model();
    const args = ["--train", names, "--steps", "1000", "--output", saved];
    expect(golden.losses).toHaveLength(1000);
    const program = new TextDecoder()
      .decode(pythonOf(model))
      .replace("for step in range(steps):", "for step in range(3):");
    const { lines, stderr } = run(new TextEncoder().encode(program), ...args, "--num-samples", "2");
    expect(stderr).toBe("");
    const losses = lines.flatMap((line) => /^step \d+\/1000 {2}loss (.*)$/.exec(line)?.[1] ?? []);
    expect(losses).toEqual(golden.losses.slice(0, 3).map((loss) => loss.toFixed(6)));
    const trained = fromPython(readFileSync(saved));
    expect(trained.step).toBe(1000);
    expect(trained.values).not.toEqual(Float32Array.from(model.values));
    expect(trained.config).toEqual(model.config);
    const again = spawnSync(python!, [saved, "--num-samples", "2", "--seed", "5"], {
      encoding: "utf8",
    });
    const own = await samplesOf(trained, { temperature: config.temperature, seed: 5 });
    expect(again.stdout.trim().split("\n")).toEqual(own.slice(0, 2));
  });

  test("what it cannot do it says", () => {
    const program = pythonOf(modelOf(shapes.microgpt));
    expect(run(program, "--prompt", "x")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/no token for 'x'/),
    });
    expect(run(program, "--prompt", "bobobobob").stderr).toMatch(
      /The prompt has 9 characters, and the model sees 5/,
    );
    for (const temperature of ["nan", "-1", "inf"]) {
      expect(run(program, `--temperature=${temperature}`)).toMatchObject({
        status: 2,
        stderr: expect.stringMatching(/error: --temperature must be a number of at least 0/),
      });
    }
    expect(run(program, "--output", "x.py").stderr).toMatch(/error: --output is for what was/);
  });
});
