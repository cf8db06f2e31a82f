// The page in Firefox, whose WebGPU is wgpu: its losses and texts are Chrome's.

import { expect, onTestFinished, test } from "vitest";
import { Firefox, findFirefox } from "../harness/firefox.ts";
import { drivePage, open, server, train } from "./driver.ts";

const executable = findFirefox();
const settings = { num_steps: "30", n_embd: "8", num_samples: "3" };

const where = executable ?? "skipped, for none is installed; FIREFOX_PATH can name one";

test.runIf(executable)(
  `Firefox and Chrome train the same, on the GPU (${where})`,
  async (context) => {
    const firefox = await Firefox.launch(executable!);
    onTestFinished(() => firefox.close());
    await firefox.goto(server.url);
    await firefox.until(`document.body.dataset.phase === "idle"`);
    if (
      !(await firefox.evaluate("navigator.gpu && navigator.gpu.requestAdapter().then(Boolean)"))
    ) {
      context.skip("this Firefox finds no GPU that its WebGPU may use");
    }
    await firefox.evaluate(`(${fill})(${JSON.stringify(settings)})`);
    await firefox.until(`["done", "failed"].includes(document.body.dataset.phase)`);

    const page = await open();
    await train(page, { device: "webgpu", ...settings });
    const seen: Seen = await firefox.evaluate(`(${read})()`);
    expect(seen.alert).toBe("");
    expect(seen.device).toMatch(/^WebGPU, .+ · 1,328 parameters$/);
    expect(seen).toEqual({ ...(await page.evaluate(read)), device: seen.device });
  },
  240_000,
); // two browsers start, and each compiles

drivePage();

interface Seen {
  step: string;
  loss: string;
  device: string;
  alert: string;
  curve: string;
  texts: string[];
}

/** Chooses the GPU, fills in the form and begins; runs in the page. */
function fill(settings: Record<string, string>): void {
  document.querySelector<HTMLInputElement>("[name=device][value=webgpu]")!.click();
  for (const [name, value] of Object.entries(settings)) {
    const input = document.querySelector<HTMLInputElement>(`#setting-${name}`)!;
    input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
  document.querySelector<HTMLElement>("#go")!.click();
}

/** What came of it; runs in the page. */
function read(): Seen {
  const text = (selector: string) => document.querySelector(selector)!.textContent!.trim();
  return {
    step: text("#step"),
    loss: text("#loss"),
    device: text("#device"),
    alert: text("#alert"),
    curve: document.querySelector("#chart")!.getAttribute("aria-label")!,
    texts: [...document.querySelectorAll(".look:first-child li")].map((item) => item.textContent!),
  };
}
