// Builds the page that models are exported into (src/exchange/html.ts): one text, with its script and its style in it.
// A browser runs that script and no other, and the page reaches no network: it says so itself, in its policy.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build, type Plugin, type Rolldown } from "vite";
import { MODEL_MARK } from "../../src/exchange/writer_page.ts";

/** Of what is bundled. */
const LICENSES = "licenses.md";

const folder = fileURLToPath(new URL(".", import.meta.url));

/** @throws Error if it cannot be built */
export async function buildWriter(): Promise<string> {
  const result = await build({
    root: folder,
    configFile: false,
    logLevel: "error",
    plugins: [withoutComments],
    build: {
      write: false,
      target: "es2022",
      cssCodeSplit: false,
      modulePreload: false,
      license: { fileName: LICENSES },
      rolldownOptions: {
        input: `${folder}main.ts`,
        output: { format: "iife", codeSplitting: false },
      },
    },
  });
  const { output } = [result].flat()[0] as Rolldown.RolldownOutput;
  let [script, style, licenses] = ["", "", readFileSync(`${folder}../../LICENSE`, "utf8")];
  for (const file of output) {
    if (file.type === "chunk") script += file.code;
    else if (file.fileName.endsWith(".css")) style += String(file.source);
    else if (file.fileName === LICENSES) licenses += `\n${String(file.source)}`;
  }
  return page(script, style, licenses);
}

function page(script: string, style: string, licenses: string): string {
  // What would end the element, or begin or end a comment, in the eyes of the HTML parser.
  const wrong = /<\/script|<!--|<\/style/i.exec(script + style) ?? /--!?>/.exec(licenses);
  if (wrong) throw new Error(`The writer has ${wrong[0]} in it, which HTML cannot hold there.`);
  const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const policy =
    `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; img-src data:; ` +
    `base-uri 'none'; form-action 'none'`;
  const parts: Record<string, string> = {
    "<!--policy-->": `<meta http-equiv="Content-Security-Policy" content="${policy}" />`,
    "<!--style-->": `<style>${style}</style>`,
    "<!--script-->": `<script>${script}</script>`,
    "<!--licenses-->": `<!--\n${licenses}-->`,
  };
  let text = readFileSync(`${folder}index.html`, "utf8");
  if (text.split(MODEL_MARK).length !== 2) throw new Error(`index.html has not one ${MODEL_MARK}.`);
  for (const [mark, part] of Object.entries(parts)) text = text.replace(mark, () => part);
  return text;
}

/** What no model that writes has any use for. */
const training =
  /(backward|cross_entropy|gradient|gain_sum|accumulate|dropout|adamw|sgd|muon|step_record|small_train)\w*\.wgsl$/;

/** Kernels are read by the GPU alone there: what remains of their comments is what the engine reads. */
const withoutComments: Plugin = {
  name: "wgsl-that-writes",
  enforce: "pre",
  load(id) {
    const [file, query] = id.split("?");
    if (!file.endsWith(".wgsl") || query !== "raw") return;
    if (training.test(file)) return "export default ''";
    const lines = readFileSync(file, "utf8").split("\n");
    const kept = lines
      .map((line) => (/\/\/ (with:|given)/.test(line) ? line : line.replace(/\s*\/\/.*$/, "")))
      .map((line) => line.replace(/^\s+/, ""))
      .filter((line) => line !== "");
    return `export default ${JSON.stringify(kept.join("\n"))}`;
  },
};
