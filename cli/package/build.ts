// Makes dist: what the npm package runs. It is the tree as it stands here, with JavaScript and types in place of
// TypeScript, and with all that the program reads. The package's imports point into it (manifest.ts).
//
//   node cli/package/build.ts

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { platform } from "../../src/platform/platform.node.ts";
import { buildWriter } from "../../web/writer/build.ts";
import { bundle } from "./bundle.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const dist = join(root, "dist");

/** What the program reads. */
const read = ["shaders", "src/text/names.txt", "src/exchange/torch", "cli/serve/page.html"];

rmSync(dist, { recursive: true, force: true });
compile();
for (const path of read) {
  cpSync(join(root, path), join(dist, path), { recursive: true });
}
writeFileSync(join(dist, "src/platform/bundled.js"), bundled());
mkdirSync(join(dist, "web"));
writeFileSync(join(dist, "web/writer.html"), await buildWriter());
await bundle(root, dist);
// What bundled.ts imports; a package.json here would hide the package's own.
rmSync(join(dist, "package.json"));
// Types are for src/index.ts; nobody imports the commands.
for (const file of readdirSync(join(dist, "cli"), { recursive: true, encoding: "utf8" })) {
  if (file.endsWith(".d.ts")) rmSync(join(dist, "cli", file));
}

function compile(): void {
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const project = join(root, "cli/package");
  const { status } = spawnSync(process.execPath, [compiler, "-p", project], { stdio: "inherit" });
  if (status !== 0) process.exit(1);
}

/** For browsers: bundlers other than Vite know nothing of import.meta.glob, nor Vite where it takes a dependency. */
function bundled(): string {
  const { engine } = platform.versions();
  const [shaders, version] = [platform.shaders(), engine].map((value) => JSON.stringify(value));
  return `export const version = ${version};\nexport const shaders = ${shaders};\n`;
}
