// BPE in the page: learnt in its worker, and the text in the colours of its tokens.

import { expect, test } from "vitest";
import { drivePage, lossOf, open, train } from "./driver.ts";

drivePage();

test("tokens are learnt in the worker, counted, and shown in their colours", async () => {
  const page = await open();
  const rhyme = "Rain on the roof and rain on the road, é\u{1F600}.\n";
  await page.check("[value=paste]");
  await page.fill("#paste", rhyme.repeat(30));
  await page.selectOption("#setting-format", "text");
  await page.selectOption("#setting-tokenizer", "bpe");
  await page.click("#more > summary");
  await page.fill("#setting-vocab_size", "280");
  await train(page, { device: "cpu", num_steps: "20", n_embd: "8", num_samples: "2" });
  const device = (await page.textContent("#device"))!;
  expect(device).toMatch(/ · 280 tokens \(bpe\), \d\.\d+ characters each$/);
  expect(await lossOf(page)).toBeLessThan(Math.log(280));
  const tokens = page.locator(".reads .token");
  const texts = await tokens.allTextContents();
  expect(texts.join("")).toBe(rhyme.repeat(30).slice(0, 300));
  expect(texts.every((text) => text.isWellFormed())).toBe(true);
  expect(texts.some((text) => text.length > 2)).toBe(true);
  const colours = await tokens.evaluateAll((all) =>
    all.slice(0, 2).map((token) => getComputedStyle(token).backgroundColor),
  );
  expect(new Set(colours).size).toBe(2);
  await page.click("#reset");
  await page.waitForFunction(() => document.querySelector(".reads .token") === null);
  const [passage] = await page.locator(".reads li").allTextContents();
  expect(passage).toBe(texts.join(""));
  if (process.env.SHOT) await page.screenshot({ path: process.env.SHOT, fullPage: true });
});
