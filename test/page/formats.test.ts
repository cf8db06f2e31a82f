// The page reads what the command line reads, and goes on with it after a reload.

import { expect, test } from "vitest";
import { browser, drivePage, drop, open, reach, set, settle } from "./driver.ts";

drivePage();

const told = (text: string) => new RegExp(text);

test("formats are found and said, wrong lines are told or counted, and a column is asked for", async () => {
  const page = await open();
  const summary = page.locator("#text-summary");
  const problem = page.locator("#text-error");
  await drop(page, "notes.jsonl", Buffer.from(`{"text":"anna"}\n{"text":"otto"}\nno\n`));
  await expect.poll(() => problem.textContent()).toMatch(told("^Line 3 of notes.jsonl is no JSON"));
  await page.click("#more summary");
  await page.check("#setting-skip_bad_lines");
  await expect
    .poll(() => summary.textContent())
    .toBe(
      "2 documents, 4 different characters. Read as jsonl: its name says so. " +
        "Left out: 1 bad line (line 3 of notes.jsonl is no JSON by itself).",
    );

  await page.selectOption("#setting-format", "csv");
  await drop(page, "table.csv", Buffer.from(`id;story\n1;"on\nce"\n2;twice\n`));
  await expect
    .poll(() => problem.textContent())
    .toMatch(told('table.csv has the columns "id", "story"'));
  await set(page, { field: "story" });
  await page.locator("#setting-field").blur();
  await expect
    .poll(() => summary.textContent())
    .toMatch(told("^2 documents, 8 different characters"));
  await page.selectOption("#setting-format", "lines");
  await expect
    .poll(() => page.textContent("#setting-field-error"))
    .toMatch(told("has no fields; leave it out"));
});

test("documents of several lines are the same ones after a reload", async () => {
  const context = await browser.newContext();
  const page = await open(context);
  await page.check("[value=paste]");
  await page.selectOption("#setting-format", "paragraphs");
  await page.fill("#paste", "on\nce\n\ntwice\n");
  await set(page, { device: "cpu", num_steps: "100000" });
  await page.click("#go");
  await reach(page, 20);
  await page.click("text=Pause");
  await settle(page);
  await page.close();
  const again = await open(context);
  await again.click("#go-on");
  await reach(again, 30);
  expect(await again.textContent("#alert")).toBe("");
  await again.close();
});
