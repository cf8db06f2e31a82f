// The README's commands: what they make is nothing that git would see.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "./harness/unpack.ts";

const readme = readFileSync(join(root, "README.md"), "utf8");
const commands = [...readme.matchAll(/^```console\n(.*?)^```/gms)]
  .map(([, block]) => block)
  .join("");

/** Values of a flag, in all commands. */
const valuesOf = (flag: string) => [
  ...new Set([...commands.matchAll(new RegExp(`${flag} ([\\w.-]+)`, "g"))].map(([, name]) => name)),
];

test.runIf(existsSync(join(root, ".git")))("git ignores what the commands make and read", () => {
  const folders = ["output", ...valuesOf("--output"), ...valuesOf("--model-dir")];
  const files = ["model.safetensors", "training.safetensors", "config.json", "tokenizer.json"];
  const made = [
    ...folders.map((folder) => `${folder}/anything`),
    ...["other-name"].flatMap((folder) => files.map((file) => `${folder}/${file}`)),
    ...valuesOf("--input").filter((name) => name !== "-"),
    "microgpt-webgpu-0.1.0.tgz",
    "dist/src/index.js",
    "web/dist/index.html",
    "docs/index.html",
  ];
  expect(made.length).toBeGreaterThan(10);
  const argv = ["check-ignore", "--stdin", "--no-index"];
  const { stdout } = spawnSync("git", argv, {
    cwd: root,
    input: made.join("\n"),
    encoding: "utf8",
  });
  const ignored = stdout.trim().split("\n");
  expect(made.filter((path) => !ignored.includes(path))).toEqual([]);
  const { stdout: tracked } = spawnSync("git", ["ls-files", "-ci", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  expect(tracked).toBe(""); // and nothing that is the project's own
});
