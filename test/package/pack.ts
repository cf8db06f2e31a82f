// Packs the project as `npm pack` does, and puts the package into an empty project.

import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "../harness/unpack.ts";

export interface Packed {
  /** Holds everything; to be removed in the end. */
  folder: string;
  tarball: string;
  /** A project whose only dependency is the package. */
  project: string;
}

/** In a copy of the tree: packing changes its package.json for as long as it takes. */
export function packProject(): Packed {
  const folder = mkdtempSync(join(tmpdir(), "microgpt-package-"));
  const tree = join(folder, "tree");
  const parts = [
    "cli",
    "src",
    "shaders",
    "web",
    "package.json",
    "tsconfig.json",
    "README.md",
    "LICENSE",
  ];
  for (const part of parts) cpSync(join(root, part), join(tree, part), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(tree, "node_modules"), "junction");
  run("npm", ["pack", "--pack-destination", folder], tree);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"))!;

  const project = join(folder, "project");
  const modules = join(project, "node_modules");
  mkdirSync(join(modules, ".bin"), { recursive: true });
  writeFileSync(join(project, "package.json"), `{ "name": "empty", "type": "module" }\n`);
  run("tar", ["-xzf", join(folder, tarball), "-C", modules], folder);
  run("mv", ["package", "microgpt-webgpu"], modules);
  const manifest = readFileSync(join(modules, "microgpt-webgpu/package.json"), "utf8");
  const { dependencies } = JSON.parse(manifest);
  for (const name of [...Object.keys(dependencies), "@webgpu", "debug", "ms"]) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, "node_modules", name), join(modules, name), "junction");
  }
  const start = join(modules, "microgpt-webgpu/dist/cli/start.js");
  run("chmod", ["+x", start], modules); // as npm does on installing
  symlinkSync(start, join(modules, ".bin/microgpt-webgpu"));
  return { folder, tarball: join(folder, tarball), project };
}

/** @throws Error with all that the program printed, if it fails */
export function run(program: string, args: string[], cwd: string, env = {}): string {
  const options = { cwd, env: { ...process.env, ...env }, encoding: "utf8" } as const;
  const { status, stdout, stderr, error } = spawnSync(program, args, options);
  if (status !== 0)
    throw new Error(`${program} ${args.join(" ")}: ${stdout}${stderr}${error ?? ""}`);
  return stdout;
}
