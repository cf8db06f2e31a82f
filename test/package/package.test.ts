// The npm package as others have it: packed, put into an empty project, and used from there.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import type { Page } from "playwright-core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { build, createServer, preview } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "../harness/unpack.ts";
import { launchBrowser } from "../harness/page.ts";
import { type Packed, packProject, run } from "./pack.ts";

let packed: Packed;
let modules: string;

beforeAll(() => {
  packed = packProject();
  modules = join(packed.project, "node_modules");
});

afterAll(() => rmSync(packed.folder, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFileSync(join(packed.project, name), text);
const node = (...args: string[]) => run(process.execPath, args, packed.project);

/** A few lines of a user: some steps, and texts by the model. All letters: in that shape other tests have compiled it. */
const program = (device: string) => `
  import { generate, train } from "microgpt-webgpu";
  const names = ["ada", "grace", "alan", "abcdefghijklmnopqrstuvwxyz"];
  const training = await train(names, { num_steps: 3, device: "${device}" });
  const losses = [];
  for await (const { loss } of training.steps()) losses.push(loss);
  const model = await training.model();
  training.close();
  const texts = [];
  const options = { prompt: "a", num_samples: 2, device: "${device}" };
  for await (const { text } of generate(model, options)) texts.push(text);
`;

test("the package holds what its program needs, and nothing else", () => {
  const list = run("tar", ["-tzf", packed.tarball], root).trim().split("\n");
  const folders = new Set(
    list.map((path) => path.split("/").slice(1, -1).join("/").split("/src/")[0]),
  );
  const cli = ["dist/cli", "dist/cli/serve", "dist/cli/sources"];
  const shaders = ["dist/shaders", "dist/shaders/pieces"];
  expect([...folders].sort()).toEqual(["", "dist", ...cli, ...shaders, "dist/src", "dist/web"]);
  for (const path of ["LICENSE", "README.md", "package.json", "dist/src/text/names.txt"]) {
    expect(list).toContain(`package/${path}`);
  }
  expect(list.filter((path) => /(?<!\.d)\.ts$|\.test\.|\/test\//.test(path))).toEqual([]);
  const own = readFileSync(join(root, "package.json"), "utf8");
  const file = JSON.parse(readFileSync(join(modules, "microgpt-webgpu/package.json"), "utf8"));
  const { node, ...others } = JSON.parse(own).dependencies; // Node itself would take the place of the user's
  expect(node).toBeDefined();
  expect(file.dependencies).toEqual(others);
  expect(file).not.toHaveProperty("private");
  expect(file).not.toHaveProperty("devDependencies");
  expect(readFileSync(join(packed.folder, "tree/package.json"), "utf8")).toBe(own); // as before
});

test("publint finds nothing", async () => {
  const pkgDir = join(modules, "microgpt-webgpu");
  const { messages, pkg } = await publint({ pkgDir, pack: false, strict: true });
  expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
});

test("attw finds nothing but that CommonJS has to import it", async () => {
  const tarball = createPackageFromTarballData(readFileSync(packed.tarball));
  const analysis = await checkPackage(tarball);
  const { problems } = analysis as Exclude<typeof analysis, { types: false }>;
  const others = problems.filter(
    (problem) =>
      !("resolutionKind" in problem && problem.resolutionKind === "node10") && // knows no exports
      problem.kind !== "CJSResolvesToESM", // Node requires ES modules by itself
  );
  expect(others).toEqual([]);
});

test("types are there, for Node's rules and a bundler's", () => {
  write(
    "own.ts",
    `import { type Model, load, train, UserError } from "microgpt-webgpu";
     const training = await train("ada\\ngrace", { n_layer: 2, dtype: "auto", device: "cpu" });
     for await (const { step } of training.steps()) step satisfies number;
     const model: Model = await load(new Uint8Array());
     model.values satisfies Float32Array | Float64Array;
     new UserError("") satisfies Error;
     // @ts-expect-error
     await train(["ada"], { lr: 0.5 });`,
  );
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const strict = ["--noEmit", "--strict", "--target", "es2022", "--types", "", "own.ts"];
  for (const module of ["nodenext", "preserve"]) {
    expect(node(compiler, "--ignoreConfig", "--module", module, ...strict)).toBe("");
  }
});

test("npx runs its commands, and they name themselves so", () => {
  const argv = [
    "microgpt-webgpu",
    "train",
    "--device",
    "cpu",
    "--steps",
    "3",
    "--num-samples",
    "1",
  ];
  const stdout = run("npx", ["--no", ...argv], packed.project);
  expect(stdout).toMatch(/^step 3\/3 /m);
  expect(stdout).toMatch(/^More samples: npx microgpt-webgpu generate --model-dir output$/m);
  const json = run("npx", ["--no", "microgpt-webgpu", "info", "--json"], packed.project);
  expect(JSON.parse(json)).toMatchObject({ step: 3, num_params: 4192 }); // and not a banner before it
});

test.each(["cpu", "webgpu"])("Node trains and writes on %s, and ends by itself", (device) => {
  write("own.mjs", `${program(device)} console.log(JSON.stringify({ losses, texts }));`);
  const { losses, texts } = JSON.parse(node("own.mjs"));
  expect(losses).toHaveLength(3);
  expect(losses[0]).toBeCloseTo(Math.log(27), 0);
  for (const text of texts) expect(text).toMatch(/^a[a-z]{0,15}$/);
});

test("the README's lines train, save and write", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const [, lines] = /^```js\n(import .*? from "microgpt-webgpu";.*?)^```/ms.exec(readme)!;
  write("readme.mjs", lines);
  write("none.json", "{}");
  const noGpu = { VK_ICD_FILENAMES: "none.json", VK_DRIVER_FILES: "none.json" }; // nothing to compile
  const stdout = run(process.execPath, ["readme.mjs"], packed.project, noGpu);
  expect(stdout).toMatch(/^200 0\.\d+$/m);
  expect(stdout.match(/^a[acdeglnr]*$/gm)).toHaveLength(20);
  expect(
    JSON.parse(run("npx", ["--no", "microgpt-webgpu", "info", "--json"], packed.project)),
  ).toMatchObject({ step: 200 });
});

test("Vite serves and builds it: a page trains and writes", async () => {
  write("index.html", `<script type="module" src="./page.js"></script>`);
  const pageOn = (device: string) =>
    write("page.js", `${program(device)} window.done = { losses, texts };`);
  const shared = { root: packed.project, configFile: false, logLevel: "warn" } as const;
  const where = { host: "127.0.0.1", port: 0 };
  pageOn("webgpu");
  await build({ ...shared, build: { target: "es2022" } });
  pageOn("cpu"); // a browser's GPU in software takes its time
  const servers = [
    await preview({ ...shared, preview: where }),
    await (await createServer({ ...shared, server: where })).listen(),
  ];
  const browser = await launchBrowser();
  try {
    for (const { resolvedUrls } of servers) {
      const page = await browser.newPage();
      const { losses, texts } = await outcome(page, resolvedUrls!.local[0]);
      expect(losses).toHaveLength(3);
      expect(texts).toHaveLength(2);
      await page.close();
    }
  } finally {
    await Promise.all([browser, ...servers].map((each) => each.close()));
  }
});

async function outcome(page: Page, url: string): Promise<{ losses: number[]; texts: string[] }> {
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(url);
  await page.waitForFunction("window.done", undefined, { timeout: 60_000 }).catch(() => {});
  expect(errors).toEqual([]);
  return page.evaluate("window.done");
}
