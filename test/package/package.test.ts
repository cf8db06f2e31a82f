// The npm package as others have it: packed, put into an empty project, and used from there.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createFileServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import type { Page } from "playwright-core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { build, createServer, preview } from "vite";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { save, train } from "../../src/index.ts";
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

/** Lines that ask a loaded model as one asks OpenAI's, after those of program(). */
const asking = (options: string) => `
  const writer = await load(model, { ${options} });
  const request = { prompt: "a", seed: 7, max_tokens: 5 };
  const { choices } = await writer.completions.create({ ...request, n: 2 });
  let streamed = "";
  for await (const chunk of await writer.completions.create({ ...request, stream: true })) {
    streamed += chunk.choices[0].text;
  }
  const refused = await writer.chat.completions.create({ messages: [] }).catch((error) => error);
  const told = [refused instanceof RequestError, refused.name, refused.message];
  await writer.close();
  const asked = { answers: choices.map(({ text }) => text), streamed, told };
`;
const imported = `import { load, RequestError } from "microgpt-webgpu";`;
const told = `console.log(JSON.stringify({ losses, texts, asked }));`;

interface Asked {
  answers: string[];
  streamed: string;
  told: unknown[];
}

function expectAnswers({ answers, streamed, told }: Asked, nameOfError = "RequestError"): void {
  expect(answers).toHaveLength(2);
  expect(streamed).toBe(answers[0]);
  for (const answer of answers) expect(answer).toMatch(/^[a-z]{0,5}$/);
  const sentence =
    "messages is []; it must be a list of objects with role and content, not an empty one.";
  expect(told).toEqual([true, nameOfError, sentence]);
}

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
    `import { type ChatMessage, type Model, load, train, UserError } from "microgpt-webgpu";
     import { load as same } from "microgpt-webgpu/browser";
     import "microgpt-webgpu/worker";
     const training = await train("ada\\ngrace", { n_layer: 2, dtype: "auto", device: "cpu" });
     for await (const { step } of training.steps()) step satisfies number;
     const model: Model = await load(new Uint8Array());
     model.values satisfies Float32Array | Float64Array;
     new UserError("") satisfies Error;
     const worker = new Worker("worker.js");
     const writer = await same(new URL("https://example.org/model/"), { worker });
     const messages: ChatMessage[] = [{ role: "user", content: "hi" }];
     const { choices } = await writer.chat.completions.create({ messages });
     choices[0].message.content satisfies string;
     const chunks = await writer.chat.completions.create({ messages, stream: true });
     for await (const chunk of chunks) chunk.choices[0].delta.content satisfies string | undefined;
     for await (const { text } of writer.stream({ prompt: "a" })) text satisfies string;
     // @ts-expect-error
     await writer.completions.create({ prompt: "a", temprature: 1 });
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
  const lines = `${imported} ${program(device)} ${asking(`device: "${device}"`)}`;
  write("own.mjs", `${lines} ${told}`);
  const { losses, texts, asked } = JSON.parse(node("own.mjs"));
  expectAnswers(asked);
  expect(losses).toHaveLength(3);
  expect(losses[0]).toBeCloseTo(Math.log(27), 0);
  for (const text of texts) expect(text).toMatch(/^a[a-z]{0,15}$/);
});

/** Takes away what the oldest Node that package.json names has not got, and later ones have. */
const asInTheOldest = `
  import module from "node:module";
  delete globalThis.navigator;
  delete globalThis.Iterator;
  delete module.enableCompileCache;
  const iterators = Object.getPrototypeOf(Object.getPrototypeOf([].values()));
  const lacks = [
    [URL, "parse"],
    [Promise, "withResolvers try"],
    [Array, "fromAsync"],
    [Set.prototype, "union intersection difference symmetricDifference isSubsetOf isSupersetOf isDisjointFrom"],
    [iterators, "map filter take drop flatMap reduce toArray forEach some every find"],
  ];
  for (const [owner, names] of lacks) for (const name of names.split(" ")) delete owner[name];
`;

test("the oldest Node that it names trains, writes and serves", async () => {
  expect(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).engines.node).toBe(">=20.19");
  write("oldest.mjs", asInTheOldest);
  const oldest = ["--import", "./oldest.mjs"];
  const lines = `import { load, save, RequestError } from "microgpt-webgpu"; ${program("cpu")}`;
  write("old.mjs", `${lines} await save(model, "old"); ${asking(`device: "cpu"`)} ${told}`);
  expectAnswers(JSON.parse(node(...oldest, "old.mjs")).asked);
  const start = join(modules, "microgpt-webgpu/dist/cli/start.js");
  const argv = ["serve", "--model-dir", "old", "--device", "cpu", "--port", "0", "--json"];
  const server = spawn(
    process.execPath,
    [...oldest, start, ...argv, "--cors-origin", "http://a.b"],
    {
      cwd: packed.project,
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  onTestFinished(() => void server.kill());
  let text = "";
  server.stdout.on("data", (data) => (text += data));
  while (!text.includes("\n")) await once(server.stdout, "data");
  const { url } = JSON.parse(text);
  const status = async (path: string, origin: string) =>
    (await fetch(url + path, { headers: { origin } })).status;
  expect(await status("/v1/models", "http://a.b")).toBe(200);
  expect(await status("/v1/models", "http://c.d")).toBe(403);
  const body = JSON.stringify({ num_samples: 2 });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${url}/microgpt/v1/generate`, { method: "POST", body, headers });
  expect((await answer.json()).samples).toHaveLength(2);
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

test("Vite serves and builds it: a page trains and writes, and so does its worker", async () => {
  write("index.html", `<script type="module" src="./page.js"></script>`);
  write("writer.js", `import "microgpt-webgpu/worker";`);
  const worker = `new Worker(new URL("./writer.js", import.meta.url), { type: "module" })`;
  const asked = `${imported} ${asking(`device: "cpu", worker: ${worker}`)}`;
  const pageOn = (device: string) =>
    write("page.js", `${program(device)} ${asked} window.done = { losses, texts, asked };`);
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
      const { losses, texts, asked } = await outcome(page, resolvedUrls!.local[0]);
      expect(losses).toHaveLength(3);
      expect(texts).toHaveLength(2);
      expectAnswers(asked, expect.any(String)); // Vite shortens names
      await page.close();
    }
  } finally {
    await Promise.all([browser, ...servers].map((each) => each.close()));
  }
});

test("a page takes it without a bundler: from its own script, and in a worker", async () => {
  const dist = "/node_modules/microgpt-webgpu/dist";
  const inPage = program("cpu").replace("microgpt-webgpu", `${dist}/browser.js`);
  const worker = `new Worker("${dist}/worker.js", { type: "module" })`;
  const script = [
    imported.replace("microgpt-webgpu", `${dist}/browser.js`),
    inPage,
    asking(`device: "cpu", worker: ${worker}`),
    `const here = await load("./model", { device: "cpu" });`,
    `for await (const { text } of here.generate({ num_samples: 1 })) texts.push(text);`,
    `const none = new Worker("/none.js", { type: "module" });`,
    `const stopped = await load(model, { worker: none }).catch(({ message }) => message);`,
    `window.done = { losses, texts, asked, stopped };`,
  ];
  write("plain.html", `<script type="module">${script.join("\n")}</script>`);
  const training = await train(["ada", "grace"], { num_steps: 1, device: "cpu" });
  for await (const _ of training.steps());
  await save(await training.model(), join(packed.project, "model"));
  const server = createFileServer((request, response) => {
    const path = join(packed.project, new URL(request.url!, "http://page").pathname);
    const type = path.endsWith(".js") ? "text/javascript" : "text/html";
    const isThere = existsSync(path);
    response.writeHead(isThere ? 200 : 404, { "content-type": type });
    response.end(isThere ? readFileSync(path) : "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const browser = await launchBrowser();
  try {
    const { port } = server.address() as AddressInfo;
    const page = await browser.newPage();
    const found = await outcome(page, `http://127.0.0.1:${port}/plain.html`);
    expect(found.losses).toHaveLength(3);
    expect(found.texts).toHaveLength(3);
    expectAnswers(found.asked);
    expect(found.stopped).toBe(
      "The worker stopped: its module cannot be had. That of a worker is microgpt-webgpu/worker.",
    );
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
});

interface Outcome {
  losses: number[];
  texts: string[];
  asked: Asked;
  stopped?: string;
}

async function outcome(page: Page, url: string): Promise<Outcome> {
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(url);
  await page.waitForFunction("window.done", undefined, { timeout: 60_000 }).catch(() => {});
  expect(errors).toEqual([]);
  return page.evaluate("window.done");
}
