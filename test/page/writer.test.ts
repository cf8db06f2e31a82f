// A model as one page: opened from the disk, without a network, it writes what the command line writes, and nothing that
// is in a model, or is said to it, becomes a part of the page.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writerPage } from "../../cli/writer_page.ts";
import { type Config, resolveConfig } from "../../src/config.ts";
import { fromHalves, toHalves } from "../../src/device/half.ts";
import { htmlPieces } from "../../src/exchange/html.ts";
import { joined } from "../../src/files/safetensors.ts";
import type { Model } from "../../src/files/model_files.ts";
import { Generator } from "../../src/generation/from_model.ts";
import { dimsOf, ParameterLayout } from "../../src/model/parameters.ts";
import { Training } from "../../src/training/train.ts";
import { launchBrowser } from "../harness/page.ts";
import { jsonLines } from "../harness/conversations.ts";

const folder = mkdtempSync(join(tmpdir(), "microgpt-writer-"));
let page: string;
let browser: Browser;

beforeAll(async () => {
  [page, browser] = await Promise.all([writerPage(), launchBrowser()]);
});

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What would be markup, if anything became it. */
const markup = `</script><!--<b onclick="x">&amp;'$&`;

async function trained(text: string | string[], settings: Partial<Config>): Promise<Model> {
  const config = resolveConfig("microgpt", { num_steps: 60, tokenizer: "char", ...settings });
  const training = await Training.open({ config, documents: text, device: "cpu" });
  for await (const _ of training.steps());
  const model = await training.model();
  training.close();
  return model;
}

async function open(model: Model, half = false, trained_on: string[] = []) {
  const file = join(folder, `${Math.random()}.html`);
  writeFileSync(file, joined(htmlPieces(model, { page, half, trained_on })));
  const context = await browser.newContext({ offline: true });
  const opened = await context.newPage();
  opened.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  opened.on("pageerror", (error) => complaints.push(error.message));
  opened.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  opened.on("request", (request) => {
    if (/^(file|data):/.test(request.url())) return;
    complaints.push(`asked for ${request.url()}`);
  });
  await opened.goto(pathToFileURL(file).href);
  await ready(opened);
  return { opened, complaints };
}

const ready = (opened: Page) => opened.locator("#write:not([disabled])").waitFor();

async function write(opened: Page, settings: Record<string, string>): Promise<string[]> {
  const { device = "cpu", ...others } = settings;
  await opened.selectOption("#device", device);
  await opened.click("#clear");
  for (const [name, value] of Object.entries(others)) await opened.fill(`#${name}`, value);
  await opened.click("#write");
  await ready(opened);
  return opened.locator("#texts li").allTextContents();
}

async function textsOf(model: Model, options: Parameters<Generator["samples"]>[0]) {
  const generator = await Generator.open(model, "cpu");
  const texts = [];
  for await (const { text } of generator.samples(options)) texts.push(text);
  generator.close();
  return texts;
}

test("the page is small, and names all that it may do", () => {
  expect(page.length).toBeLessThan(300_000);
  for (const text of ["MIT License", "@huggingface/tokenizers", "Apache License"]) {
    expect(page).toContain(text);
  }
  expect(page).toMatch(
    /content="default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; img-src data:; base-uri 'none'; form-action 'none'"/,
  );
});

test("it writes as the command line does, on the CPU and on WebGPU, and holds no part of the model as markup", async () => {
  const model = await trained([markup, `a${markup}`, "anna", "otto"], { block_size: 24 });
  const { opened, complaints } = await open(model, false, [`${markup}.txt`]);
  expect(await opened.textContent("#about")).toMatch(
    / parameters: 1 layer, 16 channels, 4 heads, /,
  );
  expect(await opened.textContent("#about")).toContain(`trained 60 steps on ${markup}.txt.`);
  const drawing = { temperature: 0.9, top_k: 7, max_tokens: 30, num_samples: 3, seed: 11 };
  const asked = Object.fromEntries(Object.entries(drawing).map(([name, n]) => [name, String(n)]));
  const expected = await textsOf(model, { ...drawing, prompt: markup });
  expect(await write(opened, { ...asked, prompt: markup })).toEqual(expected);
  expect(await opened.textContent("#note")).toMatch(/^The prompt has 36 tokens, and the context/);
  expect(await opened.textContent("#device-name")).toBe(" It runs on the CPU, in float64.");
  const [likeliest] = await textsOf(model, { temperature: 0, seed: 1, num_samples: 1 });
  const least = { prompt: "", temperature: "0", num_samples: "1", device: "webgpu" };
  expect(await write(opened, { ...asked, top_k: "0", ...least })).toEqual([likeliest]);
  expect(await opened.textContent("#device-name")).toMatch(/ on WebGPU \(.+\)\.$/);
  expect(complaints).toEqual([]);
  const elements = await opened.evaluate(() => [
    document.querySelectorAll("b, [onclick]").length,
    document.scripts.length,
  ]);
  expect(elements).toEqual([0, 1]);

  // A sentence for what cannot be.
  await write(opened, { prompt: "Z", temperature: "0" });
  expect(await opened.textContent("#alert")).toMatch(/no token for "Z"/);
  await write(opened, { prompt: "", temperature: "hot" });
  expect(await opened.textContent("#alert")).toMatch(/^Temperature is "hot"; it must be/);
  expect(await opened.getAttribute("#temperature", "aria-invalid")).toBe("true");
  // And the network is closed to whatever runs there.
  const violated = await opened.evaluate(async () => {
    const blocked = new Promise<string>((resolve) => {
      document.addEventListener("securitypolicyviolation", (event) =>
        resolve(event.effectiveDirective),
      );
    });
    await fetch("http://127.0.0.1/").catch(() => {});
    return blocked;
  });
  expect(violated).toBe("connect-src");
  await opened.context().close();
});

test("weights in half precision are those, and a long text can be stopped", async () => {
  const model = await trained("to be or not to be, that is the question. ".repeat(20), {
    format: "text",
    block_size: 32,
  });
  const { opened } = await open(model, true);
  const values = fromHalves(toHalves(model.values));
  const options = { temperature: 1, seed: 3, num_samples: 1, max_tokens: 200 };
  const expected = await textsOf({ ...model, values }, options);
  const asked = { temperature: "1", seed: "3", max_tokens: "200" };
  expect(await write(opened, asked)).toEqual(expected);
  expect(await opened.textContent("#about")).toContain("kept in half precision");
  await opened.fill("#max_tokens", "100000");
  await opened.click("#clear");
  await opened.click("#write");
  await expect.poll(() => opened.textContent("#texts")).toMatch(/^.{50}/s);
  await opened.click("#stop");
  await ready(opened);
  expect(await opened.textContent("#status")).toBe("Stopped.");
  await opened.context().close();
});

test("a model of conversations answers, turn after turn", async () => {
  const model = await trained(jsonLines, { format: "chat", block_size: 64, n_embd: 32 });
  const { opened, complaints } = await open(model);
  const said = ["my red cat", "sure?"];
  const turns: { role: "user" | "assistant"; content: string }[] = [];
  const generator = await Generator.open(model, "cpu");
  for (const [i, content] of said.entries()) {
    turns.push({ role: "user", content });
    for await (const event of generator.answer(turns, { seed: 5 + i, temperature: 0.5 })) {
      if (event.type === "answer") turns.push({ role: "assistant", content: event.content });
    }
  }
  generator.close();
  await opened.selectOption("#device", "cpu");
  await opened.fill("#seed", "5");
  await opened.fill("#temperature", "0.5");
  for (const content of said) {
    await opened.fill("#prompt", content);
    await opened.press("#prompt", "Enter");
    await expect.poll(() => opened.inputValue("#prompt")).toBe("");
    await ready(opened);
  }
  const names = { user: "You", assistant: "Model" };
  const expected = turns.map(({ role, content }) => names[role] + content);
  expect(await opened.locator("#texts li").allTextContents()).toEqual(expected);
  await opened.click("#write");
  expect(await opened.textContent("#alert")).toBe("There is nothing to answer: say something.");
  expect(complaints).toEqual([]);
  await opened.context().close();
});

test("what no page can hold is refused with a sentence", () => {
  const config = resolveConfig("gpt2");
  const model = { config, layout: new ParameterLayout(dimsOf(config, 50_304)) } as Model;
  const options = { page, trained_on: [], half: false };
  expect(() => htmlPieces(model, options)).toThrow(
    "The model has 162,988,032 parameters, and a page that opens from the disk holds 134,217,728",
  );
  const small = resolveConfig("microgpt");
  const layout = new ParameterLayout(dimsOf(small, 27));
  const values = new Float32Array(layout.size);
  values[1000] = -65520;
  const large = { config: small, layout, values } as unknown as Model;
  expect(() => htmlPieces(large, { ...options, half: true })).toThrow(
    /^lm_head has a weight of -65520, and half precision ends at 65504/,
  );
});
