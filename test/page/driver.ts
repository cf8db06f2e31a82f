// Drives the built page in a real browser, as its users do.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll } from "vitest";
import { launchBrowser } from "../harness/page.ts";
import { buildPage, serve } from "./serve.ts";

/** What the console said that nobody expected. */
const complaints: string[] = [];
export const dist = mkdtempSync(join(tmpdir(), "microgpt-page-"));
export let server: Awaited<ReturnType<typeof serve>>;
export let browser: Browser;

/** Builds the page and starts a browser for the tests of a file. */
export function drivePage(): void {
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
    if (complaints.length > 0) {
      throw new Error(`In the console: ${complaints.splice(0).join("\n")}`);
    }
  });
}

/** A fresh page, whose complaints fail the test. */
export async function open(
  where: Browser | BrowserContext = browser,
  phase = "idle",
): Promise<Page> {
  const page = await where.newPage();
  page.setDefaultTimeout(30_000);
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  await page.goto(server.url);
  await page.locator(`body[data-phase=${phase}]`).waitFor();
  return page;
}

/** Fills in the form: `device`, and settings by their names. */
export async function set(
  page: Page,
  { device, ...settings }: Record<string, string>,
): Promise<void> {
  if (device) await page.check(`[name=device][value=${device}]`);
  for (const [name, value] of Object.entries(settings)) {
    if (!(await page.isVisible(`#setting-${name}`))) await page.click("#more summary");
    await page.fill(`#setting-${name}`, value);
  }
}

export async function train(page: Page, settings: Record<string, string>): Promise<void> {
  if (await page.isEnabled("#reset")) await page.click("#reset");
  await page.locator("body[data-phase=idle]").waitFor();
  await set(page, settings);
  await page.click("#go");
  await page.locator("body[data-phase=done]").waitFor();
}

export async function tabTo(page: Page, key: string, selector: string): Promise<void> {
  for (let presses = 0; presses < 30; presses++) {
    await page.keyboard.press(key);
    if (await page.evaluate((to) => document.activeElement!.matches(to), selector)) return;
  }
  throw new Error(`${key} does not come to ${selector}`);
}

/** Drops a file on the page. */
export async function drop(page: Page, name: string, bytes: Buffer): Promise<void> {
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

/** Waits until more than `step` steps are shown. */
export async function reach(page: Page, step: number): Promise<void> {
  await page.waitForFunction(
    (step) => Number(document.querySelector("#step")!.textContent!.replaceAll(",", "")) > step,
    step,
  );
}

/** Waits until the worker's last report is shown. */
export async function settle(page: Page): Promise<void> {
  await page.locator("body[data-phase=paused]").waitFor();
  await page.waitForTimeout(200);
}

export const phaseOf = (page: Page) => page.evaluate(() => document.body.dataset.phase);
export const focused = (page: Page) => page.evaluate(() => document.activeElement?.id);
export const numberOf = async (page: Page, id: string) =>
  Number((await page.textContent(id))!.replaceAll(",", ""));
export const stepOf = (page: Page) => numberOf(page, "#step");
export const lossOf = (page: Page) => numberOf(page, "#loss");

/** Pixels of the chart in the colour of the running mean. */
export function curvePixels(page: Page): Promise<number> {
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
