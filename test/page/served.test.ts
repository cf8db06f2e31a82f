// The page that a server has at `/`, in a browser: it chats, completes, stops, and says what goes wrong.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchBrowser } from "../harness/page.ts";
import { namesGenerator, serveModel, wiseGenerator } from "../serve/models.ts";
import { endlessTexts, serveInTest, until } from "../serve/server.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser({ webgpu: false });
});
afterAll(() => browser?.close());

/** The page, and what its console complains of. */
async function open(url: string, key?: string): Promise<{ page: Page; complaints: string[] }> {
  const httpCredentials = key === undefined ? undefined : { username: "me", password: key };
  const page = await browser.newPage({ httpCredentials });
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  page.on("pageerror", ({ message }) => complaints.push(message));
  page.on(
    "console",
    (message) => void (message.type() === "error" && complaints.push(message.text())),
  );
  await page.goto(url);
  return { page, complaints };
}

const shown = (page: Page) => page.locator("#out").innerText();

test("a chat goes on, and what cannot be answered can be said in other words", async () => {
  const { url } = await serveModel(await wiseGenerator());
  const { page, complaints } = await open(url);
  expect(await page.title()).toBe("tiny · microgpt-webgpu");
  await page.fill("#temperature", "0");
  const say = async (text: string) => {
    await page.fill("#prompt", text);
    await page.keyboard.press("Enter");
  };
  await say("my red cat");
  await expect.poll(() => shown(page)).toMatch(/^You\s+my red cat\s+Model\s+the cat is red$/);
  await page.getByText("15 tokens, ").waitFor();
  await say("sure?");
  await expect.poll(() => shown(page)).toMatch(/You\s+sure\?\s+Model\s+yes$/);
  expect(complaints).toEqual([]);
  await page.getByText("4 tokens, ").waitFor();
  await say("my € cat");
  await page.getByRole("alert").getByText('The model has no token for "€"').waitFor();
  await expect.poll(() => shown(page)).toMatch(/Model\s+yes$/);
  expect(await page.inputValue("#prompt")).toBe("my € cat");
  expect(await page.locator("#curl").textContent()).toContain(
    `curl ${url}/v1/chat/completions -H 'Content-Type: application/json' -d '{"model":"tiny"`,
  );
  await page.getByRole("tab", { name: "Complete" }).click();
  expect(await shown(page)).toBe("");
  await page.close();
});

test("a text is completed; a browser asks for the key, and the page needs no other", async () => {
  const access = { host: "127.0.0.1", key: "a-key", origins: [] };
  const { url } = await serveModel(await namesGenerator(), { access, chats: false });
  const { page, complaints } = await open(url, "a-key");
  expect(await page.getByRole("tab").count()).toBe(0);
  await page.fill("#prompt", "ad");
  await page.getByRole("button", { name: "Write" }).click();
  await page.getByText(/^\d+ tokens, /).waitFor();
  expect(await shown(page)).toMatch(/^ad/);
  expect(await page.locator("#curl").textContent()).toContain('-H "Authorization: Bearer $KEY"');
  expect(complaints).toEqual([]);
  await page.close();
});

test("Stop stops the model too, and so does a page that is closed", async () => {
  const texts = endlessTexts("x", 20);
  const { url } = await serveInTest({ generator: texts.generator });
  const { page } = await open(url);
  await page.fill("#max_tokens", "1000000000");
  for (const leave of [
    () => page.getByRole("button", { name: "Stop" }).click(),
    () => page.close(),
  ]) {
    await page.fill("#prompt", "a");
    await page.keyboard.press("Enter");
    await until(() => texts.writing === 1);
    await leave();
    await until(() => texts.writing === 0);
  }
  expect(texts.begun).toHaveLength(2);
});
