// The built page in a real browser, as its users meet it.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { launchBrowser } from "../harness/page.ts";
import { buildPage, serve } from "./serve.ts";

const dist = mkdtempSync(join(tmpdir(), "microgpt-page-"));
let server: Awaited<ReturnType<typeof serve>>;
let browser: Browser;
const complaints: string[] = [];

beforeAll(async () => {
  await buildPage(dist);
  server = await serve(dist);
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser?.close();
  server?.close();
  rmSync(dist, { recursive: true, force: true });
});

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  if (complaints.length > 0) throw new Error(`In the console: ${complaints.splice(0).join("\n")}`);
});

test("trains on the CPU: the loss falls, the curve is drawn, samples appear", async () => {
  const page = await open();
  expect(await page.textContent("#text-summary")).toBe("1,936 documents, 26 different characters.");
  expect(await page.textContent("#size")).toBe("A model of 4,192 parameters.");
  await train(page, { device: "cpu", num_steps: "300" });

  expect(await page.textContent("#device")).toBe("CPU, 64-bit reference · 4,192 parameters");
  expect(await page.textContent("#step")).toBe("300");
  const loss = await lossOf(page);
  expect(loss).toBeLessThan(2.8); // guessing has 3.30
  expect(loss).toBeGreaterThan(1.5);
  expect(await page.getAttribute("#chart", "aria-label")).toContain(`now ${loss.toFixed(2)}`);
  expect(await curvePixels(page)).toBeGreaterThan(300);

  const looks = page.locator(".look:not(.reads)");
  expect(await looks.first().locator("li").count()).toBe(20);
  expect(await looks.last().locator(".look-step").textContent()).toBe("step 0");
  expect(await looks.last().locator("li").count()).toBe(5);
  expect(await looks.count()).toBeGreaterThan(2);
});

test("WebGPU and the CPU come to the same loss", async () => {
  const settings = { num_steps: "30", n_embd: "8", num_samples: "3" };
  const page = await open();
  await train(page, { device: "webgpu", ...settings });
  expect(await page.textContent("#device")).toMatch(/^WebGPU, .+ · 1,328 parameters$/);
  const loss = await lossOf(page);
  const texts = await page.locator(".look").first().locator("li").allTextContents();
  await train(page, { device: "cpu" });
  expect(await lossOf(page)).toBeCloseTo(loss, 1);
  expect(await page.locator(".look").first().locator("li").allTextContents()).toEqual(texts);
});

test("a dtype that is left open is told", async () => {
  const page = await open();
  await set(page, { device: "cpu", num_steps: "3", num_samples: "1" });
  await page.selectOption("#setting-dtype", "auto");
  await train(page, {});
  expect(await page.textContent("#device")).toMatch(/ · dtype f32: the CPU trains in float64$/);
  await train(page, { device: "webgpu" });
  expect(await page.textContent("#device")).toMatch(
    / · dtype f32: (.* does not offer f16|a model as small as this|doctor has not certified)/,
  );
});

test("pauses without losing anything, resumes, resets", async () => {
  const page = await open();
  await set(page, { device: "cpu", num_steps: "1000000" });
  await page.click("#go");
  await page.waitForFunction(() => Number(document.querySelector("#step")!.textContent) > 100);
  expect(await page.locator("#setting-n_embd").isDisabled()).toBe(true);

  await page.click("text=Pause");
  await settle(page);
  const step = await stepOf(page);
  await page.waitForTimeout(300);
  expect(await stepOf(page)).toBe(step);
  expect(await page.textContent("#status")).toBe(`Paused at step ${step}.`);

  await page.click("text=Resume");
  await expect.poll(() => stepOf(page)).toBeGreaterThan(step);

  await page.click("text=Reset");
  await expect.poll(() => phaseOf(page)).toBe("idle");
  expect(await stepOf(page)).toBe(0);
  expect(await page.locator(".look:not(.reads)").count()).toBe(0);
  expect(await curvePixels(page)).toBe(0);
  expect(await page.locator("#setting-n_embd").isEnabled()).toBe(true);
});

test("trains on pasted text and on a dropped file", async () => {
  const page = await open();
  await page.getByLabel("Paste").check();
  await page.getByLabel("Training text").fill("abab\n\n baba \n");
  await expect.poll(() => page.textContent("#text-summary")).toContain("2 documents, 2 different");
  await train(page, { device: "cpu", num_steps: "200", temperature: "0.1" });
  expect(await page.locator(".look").first().locator("li").first().textContent()).toMatch(
    /^[ab]+$/,
  );

  await drop(page, "words.txt", Buffer.from("\u{feff}été\nhêtre\n"));
  await expect.poll(() => page.textContent("#text-summary")).toContain("2 documents, 6 different");
  expect(await page.textContent("#file-name")).toBe("words.txt");
  await train(page, {});
  expect(await page.locator(".look").first().locator("li").first().textContent()).toMatch(
    /[étêhr]/,
  );
});

test("trains on pasted text as one stream, and shows the validation loss", async () => {
  const page = await open();
  expect(await page.isVisible("#validation")).toBe(false);
  await page.getByLabel("Paste").check();
  await page.getByLabel("Training text").fill("tick\ntock\n".repeat(30));
  await page.selectOption("#setting-format", "text");
  await expect
    .poll(() => page.textContent("#text-summary"))
    .toBe("One text of 300 characters, 6 of them different.");
  await train(page, { device: "cpu", num_steps: "200", val_fraction: "0.2", eval_every: "50" });
  expect(await numberOf(page, "#val-loss")).toBeLessThan(1); // guessing has 1.95
  expect(await page.getAttribute("#chart", "aria-label")).toMatch(/now \d.*, validation \d/);
  const texts = page.locator(".look").first().locator("li");
  expect(await texts.first().textContent()).toMatch(/^t[io]ck\nt[io]ck\nt[io]ck\n/);

  await page.click("#reset");
  await set(page, { val_fraction: "0.01", eval_every: "0" });
  await page.click("#go");
  await expect.poll(() => phaseOf(page)).toBe("failed");
  expect(await page.textContent("#alert")).toContain("a val_fraction of 0.01 holds out 3");
});

test("says what is wrong with a text", async () => {
  const page = await open();
  await drop(page, "latin1.txt", Buffer.from("Zo\u{eb}\n", "latin1"));
  await expect
    .poll(() => page.textContent("#text-error"))
    .toContain("latin1.txt is not UTF-8 text: byte ");
  await page.click("#go");
  expect(await phaseOf(page)).toBe("idle");

  await page.getByLabel("Paste").check();
  expect(await page.textContent("#text-error")).toBe("");
  await page.click("#go");
  expect(await page.textContent("#text-error")).toContain("The pasted text holds no documents");
  expect(await focused(page)).toBe("paste");
});

test("says what is wrong with a setting, beside it", async () => {
  const page = await open();
  await set(page, { n_embd: "18", seed: "4.5" });
  await page.click("#go");
  expect(await page.textContent("#setting-seed-error")).toBe(
    "seed is 4.5; it must be a whole number of at least 0.",
  );
  expect(await focused(page)).toBe("setting-seed");
  await set(page, { seed: "4" });
  await page.click("#go");
  expect(await page.textContent("#setting-n_embd-error")).toContain(
    "multiple of n_head, such as 20.",
  );
  expect(await focused(page)).toBe("setting-n_embd");
  expect(await phaseOf(page)).toBe("idle");

  await page.selectOption("#preset", "microgpt-cosine");
  expect(await page.inputValue("#setting-n_embd")).toBe("16");
  expect(await page.inputValue("#setting-num_steps")).toBe("500");
  expect(await page.locator("[aria-invalid]").count()).toBe(0);
});

test("a run that diverges ends with a sentence", async () => {
  const page = await open();
  await set(page, { device: "cpu", learning_rate: "1e38" });
  await page.click("#go");
  await expect.poll(() => phaseOf(page)).toBe("failed");
  expect(await page.textContent("[role=alert]#alert")).toContain("Training diverged: at step");
});

test("works with the keyboard alone", async () => {
  const page = await open();
  await page.keyboard.press("Tab");
  expect(await focused(page)).toBe("go");
  await tabTo(page, "Tab", "[name=device]");
  await page.keyboard.press("ArrowLeft"); // from auto around to cpu
  await tabTo(page, "Tab", "#setting-num_steps");
  await page.keyboard.type("1000000");
  await tabTo(page, "Shift+Tab", "#go");
  await page.keyboard.press("Enter");
  await expect.poll(() => stepOf(page)).toBeGreaterThan(0);
  await page.keyboard.press("Space");
  await expect.poll(() => phaseOf(page)).toBe("paused");
  await page.keyboard.press("Tab");
  expect(await focused(page)).toBe("reset");
  await page.keyboard.press("Enter");
  await expect.poll(() => phaseOf(page)).toBe("idle");
  expect(await focused(page)).toBe("go");
});

test("starts in a browser whose language Intl does not know", async () => {
  const page = await browser.newPage();
  await page.addInitScript(() =>
    Object.defineProperty(navigator, "language", { value: "en-US@posix", configurable: true }),
  );
  await page.goto(server.url);
  await expect.poll(() => phaseOf(page)).toBe("idle");
});

test("without WebGPU it says so and trains on the CPU", async () => {
  const plain = await launchBrowser({ webgpu: false });
  try {
    const page = await open(plain);
    await page.getByText("There is no WebGPU here.").waitFor();
    await train(page, { num_steps: "50", num_samples: "1" });
    expect(await page.textContent("#fallback")).toMatch(
      /^This run is on the CPU: There is no WebGPU/,
    );
    expect(await page.textContent("#device")).toContain("CPU");

    await set(page, { device: "webgpu" });
    await page.click("#go");
    await expect.poll(() => phaseOf(page)).toBe("failed");
    expect(await page.textContent("#alert")).toContain("There is no WebGPU");
  } finally {
    await plain.close();
  }
});

/** A fresh page, whose complaints fail the test. */
async function open(inBrowser = browser): Promise<Page> {
  const page = await inBrowser.newPage();
  page.setDefaultTimeout(30_000);
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  await page.goto(server.url);
  await page.locator("body[data-phase=idle]").waitFor();
  return page;
}

/** Fills in the form: `device`, and settings by their names. */
async function set(page: Page, { device, ...settings }: Record<string, string>): Promise<void> {
  if (device) await page.check(`[name=device][value=${device}]`);
  for (const [name, value] of Object.entries(settings)) {
    if (!(await page.isVisible(`#setting-${name}`))) await page.click("#more summary");
    await page.fill(`#setting-${name}`, value);
  }
}

async function train(page: Page, settings: Record<string, string>): Promise<void> {
  if (await page.isEnabled("#reset")) await page.click("#reset");
  await page.locator("body[data-phase=idle]").waitFor();
  await set(page, settings);
  await page.click("#go");
  await page.locator("body[data-phase=done]").waitFor();
}

async function tabTo(page: Page, key: string, selector: string): Promise<void> {
  for (let presses = 0; presses < 30; presses++) {
    await page.keyboard.press(key);
    if (await page.evaluate((to) => document.activeElement!.matches(to), selector)) return;
  }
  throw new Error(`${key} does not come to ${selector}`);
}

/** Drops a file on the page. */
async function drop(page: Page, name: string, bytes: Buffer): Promise<void> {
  await page.evaluate(
    ({ name, bytes }) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([Uint8Array.from(bytes)], name));
      for (const type of ["dragover", "drop"])
        document.body.dispatchEvent(
          new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }),
        );
    },
    { name, bytes: [...bytes] },
  );
}

/** Waits until the worker's last report is shown. */
async function settle(page: Page): Promise<void> {
  await page.locator("body[data-phase=paused]").waitFor();
  await page.waitForTimeout(200);
}

const phaseOf = (page: Page) => page.evaluate(() => document.body.dataset.phase);
const focused = (page: Page) => page.evaluate(() => document.activeElement?.id);
const numberOf = async (page: Page, id: string) =>
  Number((await page.textContent(id))!.replaceAll(",", ""));
const stepOf = (page: Page) => numberOf(page, "#step");
const lossOf = (page: Page) => numberOf(page, "#loss");

/** Pixels of the chart in the colour of the running mean. */
function curvePixels(page: Page): Promise<number> {
  return page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>("#chart canvas")!;
    const context = canvas.getContext("2d")!;
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const accent = getComputedStyle(document.body).getPropertyValue("--accent").trim();
    const [r, g, b] = accent.match(/\w\w/g)!.map((hex) => Number.parseInt(hex, 16));
    let pixels = 0;
    for (let i = 0; i < data.length; i += 4)
      if (data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255) pixels++;
    return pixels;
  });
}
