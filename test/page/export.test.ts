// The page gives out models in the formats of other programs: the same files as the command line makes.

import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unzipSync } from "fflate";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { main as exportMain } from "../../cli/export.ts";
import { writerPage } from "../../cli/writer_page.ts";
import { resolveConfig } from "../../src/config.ts";
import { htmlPieces } from "../../src/exchange/html.ts";
import { loadModel, saveModel } from "../../src/files/model_dir.node.ts";
import { joined } from "../../src/files/safetensors.ts";
import { Training } from "../../src/training/train.ts";
import { runCli } from "../cli/fake_io.ts";
import { drivePage, open, train } from "./driver.ts";

drivePage();

async function downloaded(page: Page, button: string): Promise<{ name: string; path: string }> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  return { name: download.suggestedFilename(), path: await download.path() };
}

async function exported(page: Page, format: string) {
  await page.check(`[name=export-format][value=${format}]`);
  return downloaded(page, "#export-go");
}

test("a folder of files is a zip, a file is itself; what a format cannot have is told in the dialog", async () => {
  const folder = mkdtempSync(join(tmpdir(), "microgpt-export-"));
  try {
    const page = await open();
    await train(page, { device: "cpu", num_steps: "20", num_samples: "0" });
    const model = await downloaded(page, "#download");
    copyFileSync(model.path, join(folder, "model.safetensors"));
    const made = async (format: string, output: string) => {
      const argv = ["--model-dir", folder, "--format", format, "--output", join(folder, output)];
      expect(await runCli(exportMain, argv)).toMatchObject({ code: 0 });
    };
    await made("huggingface", "there");
    await made("python", "there.py");

    await page.click("#models-list button:has-text('Export')");
    const zip = await exported(page, "huggingface");
    expect(zip.name).toBe("model-huggingface.zip");
    const files = unzipSync(readFileSync(zip.path));
    expect(Object.keys(files).sort()).toEqual(readdirSync(join(folder, "there")).sort());
    const differ = Object.entries(files).filter(
      ([name, bytes]) => !readFileSync(join(folder, "there", name)).equals(bytes),
    );
    expect(differ).toEqual([]);
    const python = await exported(page, "python");
    expect(readFileSync(python.path, "utf8")).toBe(readFileSync(join(folder, "there.py"), "utf8"));
    const html = await exported(page, "html");
    expect(html.name).toBe("model.html");
    const options = { page: await writerPage(), half: false, trained_on: ["names.txt"] };
    const expected = joined(htmlPieces(loadModel(folder), options));
    expect(readFileSync(html.path).equals(expected)).toBe(true);
    expect(await page.textContent("#export-said")).toBe("model.html is made.");
    await page.keyboard.press("Escape");

    const config = resolveConfig("microgpt", { activation: "gelu", num_steps: 1 });
    const training = await Training.open({ config, documents: ["ada", "bo"], device: "cpu" });
    saveModel(folder, await training.model());
    training.close();
    await page.setInputFiles("#model-file", join(folder, "model.safetensors"));
    await page.locator("body[data-phase=open]").waitFor();
    await page.click("#export-open");
    await page.check("[name=export-format][value=python]");
    expect(await page.isDisabled("#export-half")).toBe(true);
    await page.click("#export-go");
    await expect.poll(() => page.textContent("#export-said")).toMatch(/activation is gelu.*\.$/);
    expect(await page.getAttribute("#export-said", "class")).toBe("field-error");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
