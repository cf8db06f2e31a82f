// The page's models are the command line's: given to it as a file, and taken from it; and what they write.

import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { main as generate } from "../../cli/generate.ts";
import { saveCheckpoint, saveModel } from "../../src/files/model_dir.node.ts";
import { resolveConfig } from "../../src/config.ts";
import { Training } from "../../src/training/train.ts";
import { parseLines, runCli } from "../cli/fake_io.ts";
import { drivePage, drop, numberOf, open, phaseOf, reach, set, stepOf, train } from "./driver.ts";

drivePage();

test("a model that the page trained is the command line's, once downloaded", async () => {
  const page = await open();
  await train(page, { device: "cpu", num_steps: "200", num_samples: "1" });
  await setTemperature(page, "0");
  await page.fill("#prompt", "an");
  await page.click("#write");
  const newest = page.locator(".look").first();
  await expect.poll(() => newest.locator("li").count()).toBe(1);
  const written = await newest.locator("li").textContent();
  expect(written).toMatch(/^an/);

  expect(await page.locator("#models-list li").textContent()).toContain("Open now"); // no other tab has it
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
  expect(download.suggestedFilename()).toBe("model.safetensors");
  const folder = mkdtempSync(join(tmpdir(), "microgpt-download-"));
  try {
    copyFileSync(await download.path(), join(folder, "model.safetensors"));
    const argv = ["--model-dir", folder, "--device", "cpu", "--prompt", "an", "--temperature", "0"];
    const { code, stdout } = await runCli(generate, [...argv, "--num-samples", "1", "--json"]);
    expect(code).toBe(0);
    expect(parseLines(stdout).find(({ type }) => type === "sample")!.text).toBe(written);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a model of the command line is opened, by choosing and by dropping, and writes", async () => {
  const config = resolveConfig("microgpt", { num_steps: 60, seed: 3 });
  const documents = ["anna", "emma", "otto", "hannah", "bob"];
  const training = await Training.open({ config, documents, device: "cpu" });
  for await (const _ of training.steps());
  const folder = mkdtempSync(join(tmpdir(), "microgpt-open-"));
  try {
    saveModel(folder, await training.model());
    const argv = ["--model-dir", folder, "--device", "cpu", "--temperature", "0"];
    const { stdout } = await runCli(generate, [...argv, "--num-samples", "1", "--json"]);
    const text = parseLines(stdout).find(({ type }) => type === "sample")!.text;

    const page = await open();
    await set(page, { device: "cpu" });
    const file = join(folder, "model.safetensors");
    await page.setInputFiles("#model-file", file);
    await page.locator("body[data-phase=open]").waitFor();
    expect(await stepOf(page)).toBe(60);
    await setTemperature(page, "0");
    await expect
      .poll(() => page.locator(".look").first().locator("li").allTextContents())
      .toEqual([text]);
    await page.click("#reset");
    await drop(page, "mine.safetensors", readFileSync(file));
    await page.locator("body[data-phase=open]").waitFor();
    // It is open before it is kept.
    await expect
      .poll(() => page.locator("#models-list strong").allTextContents())
      .toEqual(["mine.safetensors", "model.safetensors"]);

    // Kept, like one that was trained here.
    await page.reload();
    await page.locator("body[data-phase=open]").waitFor();
    expect(await page.textContent("#samples-hint")).toContain("mine.safetensors, trained 60 steps");

    saveCheckpoint(folder, await training.checkpoint());
    await page.setInputFiles("#model-file", join(folder, "training.safetensors"));
    await expect
      .poll(() => page.textContent("#models-error"))
      .toBe(
        "training.safetensors holds a run to resume, not a model; open the model.safetensors that lies beside it.",
      );
    await drop(page, "broken.safetensors", readFileSync(file).subarray(0, 900));
    await expect
      .poll(() => page.textContent("#models-error"))
      .toMatch(/^broken\.safetensors is not a safetensors file that can be used: /);
    expect(await phaseOf(page)).toBe("open");
    expect(await page.locator("#models-list li").count()).toBe(2);
  } finally {
    training.close();
    rmSync(folder, { recursive: true });
  }
});

test("temperature acts at once on what is written, by the same random numbers; a prompt is checked", async () => {
  const page = await open();
  await train(page, { device: "cpu", num_steps: "100", num_samples: "1" });
  const newest = page.locator(".look").first();
  const texts = () => newest.locator("li").allTextContents();
  await page.fill("#prompt", "ma");
  await page.click("#write");
  await expect.poll(async () => (await texts()).length).toBe(5);
  await setTemperature(page, "0.8");
  await expect.poll(() => newest.locator(".look-step").textContent()).toBe("at 0.80");
  await expect.poll(async () => (await texts()).length).toBe(5);
  const first = await texts();
  expect(first.every((text) => text.startsWith("ma"))).toBe(true);
  await setTemperature(page, "2");
  await expect.poll(() => newest.locator(".look-step").textContent()).toBe("at 2.00");
  await expect.poll(async () => (await texts()).length).toBe(5);
  expect(await texts()).not.toEqual(first);
  await setTemperature(page, "0.8");
  await expect.poll(() => texts()).toEqual(first);
  expect(await page.locator(".look-step", { hasText: "at " }).count()).toBe(1);

  await page.fill("#prompt", "ma!");
  await page.click("#write");
  await expect.poll(() => page.textContent("#prompt-error")).toContain('no token for "!"');
  expect(await texts()).toEqual(first);
  await page.fill("#prompt", "anna".repeat(6));
  await page.click("#write");
  await expect
    .poll(() => page.textContent("#prompt-note"))
    .toContain("The prompt has 24 tokens, and the context holds 15 of them");
  expect(await page.textContent("#prompt-error")).toBe("");
});

test("writes while it trains and while it is paused", async () => {
  const page = await open();
  expect(await page.isDisabled("#write")).toBe(true);
  await set(page, { device: "cpu", num_steps: "1000000" });
  await page.click("#go");
  await reach(page, 10);
  await page.fill("#prompt", "jo");
  await page.keyboard.press("Enter");
  const asked = page.locator(".look", { has: page.locator(".look-step", { hasText: "at " }) });
  await expect.poll(() => asked.locator("li").count()).toBe(5);
  await page.click("#go");
  await page.locator("body[data-phase=paused]").waitFor();
  await page.click("#write");
  await expect.poll(() => asked.locator("li").count()).toBe(10);
  const step = await numberOf(page, "#step");
  await page.click("#go");
  await reach(page, step);
});

async function setTemperature(page: Page, value: string): Promise<void> {
  await page.fill("#setting-temperature", value);
}
