// The package.json that is packed: ours without what only a checkout needs. Its dependency `node` is Node itself,
// which would take the place of the Node of everybody who installs the package.
//
//   node cli/package/manifest.ts pack | restore

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const file = join(root, "package.json");
const kept = join(root, ".package.json");

/** What is of no use where the package is installed. */
const ofCheckout = ["private", "scripts", "devDependencies", "overrides", "allowScripts", "knip"];

if (process.argv[2] === "restore") {
  if (existsSync(kept)) renameSync(kept, file);
} else {
  const text = readFileSync(file, "utf8");
  const packed = JSON.parse(text);
  for (const key of ofCheckout) delete packed[key];
  delete packed.dependencies.node;
  const imports = JSON.stringify(packed.imports).replaceAll('"./', '"./dist/');
  packed.imports = JSON.parse(imports.replaceAll(".ts", ".js"));
  writeFileSync(kept, text);
  writeFileSync(file, `${JSON.stringify(packed, null, 2)}\n`);
}
