// Adding a value to a setting that is a choice is safe: the compiler names every place that has to know it.

import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { settings } from "../src/config/settings.ts";
import { root } from "./harness/unpack.ts";

/** A value that only its type knows, by the type's text, and the files that have to know it. */
const added: [value: string, file: string, type: string, places: string[]][] = [
  [
    "silu",
    "src/config.ts",
    `activation: "relu" | "relu_squared" | "gelu" | "swiglu"`,
    ["src/choices.ts", "src/config/settings.ts"],
  ],
  [
    "relu_cubed",
    "src/choices.ts",
    `type Relu = "relu" | "relu_squared"`,
    ["src/model/gpu_ops.ts", "src/small/data.ts", "src/reference/ops.ts"],
  ],
  [
    "alibi",
    "src/config.ts",
    `position: "learned" | "rope"`,
    ["src/choices.ts", "src/config/settings.ts"],
  ],
  [
    "warmup",
    "src/config.ts",
    `lr_schedule: "linear" | "cosine" | "constant"`,
    ["src/choices.ts", "src/config/settings.ts", "src/model/optimizer.ts"],
  ],
  [
    "verses",
    "src/config.ts",
    `format: "lines" | "paragraphs"`,
    [
      "src/choices.ts",
      "src/config/settings.ts",
      "src/text/read_corpus.ts",
      "src/text/collector.ts",
    ],
  ],
  [
    "bf16",
    "src/config.ts",
    `  dtype: "f32" | "f16"`,
    ["src/choices.ts", "src/config/settings.ts", "src/model/tensor_tables.ts"],
  ],
  ["ask", "src/tuning/tune.ts", `TuningMode = "auto"`, ["src/tuning/tune.ts"]],
];

test("a value that only its type knows does not compile, and the compiler names every place", () => {
  const folder = mkdtempSync(join(tmpdir(), "microgpt-choices-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const part of ["src", "package.json"]) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
  for (const [value, file, type] of added) {
    const text = readFileSync(join(folder, file), "utf8");
    expect(text).toContain(type);
    writeFileSync(join(folder, file), text.replace(type, `${type} | "${value}"`));
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  const { compilerOptions } = JSON.parse(readFileSync(join(root, "tsconfig.json"), "utf8"));
  const project = { compilerOptions, include: ["src"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(project));
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const { stdout } = spawnSync(process.execPath, [compiler], { cwd: folder, encoding: "utf8" });
  const errors = stdout.split(/^(?=\S)/m); // further lines of one are indented
  for (const [value, , , places] of added) {
    const own = errors.filter((error) => error.includes(value));
    const files = new Set(own.map((error) => error.replace(/\(.*$/s, "")));
    expect([...files]).toEqual(expect.arrayContaining(places));
  }
});

test("nothing else asks for a choice by its value: what it means is said once, for all values", () => {
  const values = settings
    .filter(({ name }) => ["activation", "position", "lr_schedule", "format"].includes(name))
    .flatMap(({ choices }) => choices!)
    .filter((value) => value !== "auto"); // which of the others that is, is asked before
  const asks = new RegExp(`[=!]== "(${values.join("|")})"`);
  const found = ["src", "cli", "web"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => join(folder, file))
      .filter((file) => asks.test(readFileSync(join(root, file), "utf8"))),
  );
  expect(found, "ask isStream() and its like, of src/choices.ts").toEqual([]);
});
