// The built page in a real browser, as its users meet it.

import { expect, test } from "vitest";
import { launchBrowser } from "../harness/page.ts";
import {
  browser,
  curvePixels,
  dist,
  drivePage,
  drop,
  focused,
  lossOf,
  numberOf,
  open,
  phaseOf,
  reach,
  server,
  set,
  settle,
  stepOf,
  tabTo,
  train,
} from "./driver.ts";

drivePage();

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

test("a dtype and a batch that are left open are told", async () => {
  const page = await open();
  await set(page, { device: "cpu", num_steps: "3", num_samples: "1", batch_size: "auto" });
  await page.selectOption("#setting-dtype", "auto");
  await train(page, {});
  expect(await page.textContent("#device")).toMatch(
    / · dtype f32: the CPU trains in float64 · batch 1: all of a step fits the CPU$/,
  );
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

test("says what is wrong, all at once, beside Start and beside each field", async () => {
  const page = await open();
  await page.getByLabel("Paste").check();
  await set(page, {
    val_fraction: "0",
    eval_every: "5",
    beta1: "1",
    n_embd: "18",
    num_steps: "4.5",
  });
  await page.click("#go");
  expect(await page.textContent("#setting-num_steps-error")).toBe(
    "num_steps is 4.5; it must be a whole number of at least 1.",
  );
  const problems = page.locator("#problems li");
  expect(await problems.allTextContents()).toEqual([
    expect.stringContaining("The pasted text holds no documents"),
    expect.stringContaining("n_embd 18 cannot be split into n_head 4"),
    expect.stringContaining("num_steps is 4.5"),
    expect.stringContaining("beta1 is 1"),
    expect.stringContaining("eval_every is 5, but nothing is held out"),
  ]);
  expect(await page.locator("#problems").getAttribute("role")).toBe("alert");
  expect(await focused(page)).toBe("paste");
  expect(await page.isVisible("#setting-beta1")).toBe(true);

  await problems.locator("a").nth(2).click();
  expect(await focused(page)).toBe("setting-num_steps");
  await set(page, { num_steps: "5" });
  await page.keyboard.press("Tab");
  expect(await problems.count()).toBe(4);

  await page.selectOption("#preset", "microgpt-cosine");
  expect(await page.inputValue("#setting-n_embd")).toBe("16");
  expect(await page.inputValue("#setting-num_steps")).toBe("500");
  expect(await problems.count()).toBe(1);
  await page.getByLabel("Training text").fill("anna");
  await expect.poll(() => problems.count()).toBe(0);
  expect(await page.locator("[aria-invalid]").count()).toBe(0);
  expect(await phaseOf(page)).toBe("idle");
});

test("an emptied text empties what was made of it", async () => {
  const page = await open();
  await page.getByLabel("Paste").check();
  expect(await page.textContent("#size")).toBe("");
  await page.getByLabel("Training text").fill("abc");
  await expect.poll(() => page.textContent("#size")).toBe("A model of 3,456 parameters.");
  expect(await page.getAttribute("#chart", "aria-label")).toContain("guessing is 1.39");
  expect(await page.locator(".reads li").allTextContents()).toEqual(["abc"]);
  await page.getByLabel("Training text").fill("");
  await expect.poll(() => page.textContent("#size")).toBe("");
  expect(await page.textContent("#text-summary")).toBe("");
  expect(await page.getAttribute("#chart", "aria-label")).toBe("Loss by step: not begun.");
  expect(await page.isVisible(".reads")).toBe(false);
});

test("a wrong or huge file is told, and the page goes on", async () => {
  const page = await open();
  await page.setInputFiles("#file", {
    name: "a.bin",
    mimeType: "",
    buffer: Buffer.from([0, 1, 2]),
  });
  await expect.poll(() => page.textContent("#text-error")).toContain("a.bin holds a NUL");
  await page.evaluate(() => {
    const file = new File(["x"], "huge.txt");
    Object.defineProperty(file, "size", { value: 600 * 2 ** 20 });
    const dataTransfer = new DataTransfer();
    const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
    Object.defineProperty(event, "dataTransfer", { value: { types: ["Files"], files: [file] } });
    document.body.dispatchEvent(event);
  });
  await expect
    .poll(() => page.textContent("#text-error"))
    .toBe(
      "huge.txt has 600 MB, and the page reads texts of up to 64 MB; take a part of it, or train on it from the " +
        "command line.",
    );
});

test("long texts of a stream are folded to a few lines, and unfold by the keyboard", async () => {
  const page = await open();
  await page.getByLabel("Paste").check();
  await page.getByLabel("Training text").fill("tick\ntock\n".repeat(30));
  await page.selectOption("#setting-format", "text");
  await train(page, { device: "cpu", num_steps: "100", block_size: "64", num_samples: "1" });
  const text = page.locator(".look").first().locator("li");
  const height = async () => (await text.boundingBox())!.height;
  const folded = await height();
  expect(folded).toBeLessThan(4.5 * 26); // of lines
  await text.locator("summary").focus();
  await page.keyboard.press("Enter");
  expect(await height()).toBeGreaterThan(2 * folded);
  expect((await text.textContent())!.split("\n").length).toBeGreaterThan(8);
});

test("the axes hold the whole run and every label", async () => {
  const page = await open();
  await page.addInitScript(() => {
    const written: { text: string; x: number; left: number; align: string }[] = [];
    Object.assign(globalThis, { written });
    const { fillText } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
      const { a, e } = this.getTransform();
      const width = this.measureText(text).width * (this.textAlign === "right" ? 1 : 0);
      written.push({ text, x, left: a * (x - width) + e, align: this.textAlign });
      return fillText.call(this, text, x, y);
    };
  });
  await page.reload();
  await page.locator("body[data-phase=idle]").waitFor();
  const written = () =>
    page.evaluate(
      () => (globalThis as unknown as { written: { text: string; left: number }[] }).written,
    );
  await set(page, { device: "cpu", num_steps: "1000000" });
  await page.click("#go");
  await reach(page, 10);
  await page.click("text=Pause");
  await settle(page);
  expect((await written()).slice(-30).map(({ text }) => text)).toContain("1,000,000");
  await page.click("#reset");
  await set(page, { learning_rate: "1e9", num_steps: "40", num_samples: "1" });
  await page.click("#go");
  await page.locator("body[data-phase=done], body[data-phase=failed]").waitFor();
  await page.waitForTimeout(200);
  const labels = (await written()).filter(({ text }) => /e\+\d/.test(text));
  expect(labels.length).toBeGreaterThan(0);
  expect(Math.min(...labels.map(({ left }) => left))).toBeGreaterThanOrEqual(0);
});

test("says where it computes", async () => {
  const page = await open();
  expect(await page.isVisible("#on-gpu")).toBe(true);
  await page.check("[name=device][value=cpu]");
  await expect.poll(() => page.isVisible("#on-cpu")).toBe(true);
  expect(await page.isVisible("#on-gpu")).toBe(false);
});

test("opened as a file, it says how to serve it", async () => {
  const page = await browser.newPage(); // whose complaints about the blocked parts are due
  await page.goto(`file://${dist}/index.html`);
  await page.getByText("This page was opened as a file.").waitFor();
  await page.goto(server.url);
  expect(await page.isVisible("#from-file")).toBe(false);
});

test("with forced colours the progress and the legend are seen", async () => {
  const page = await open();
  await page.emulateMedia({ forcedColors: "active" });
  const styles = await page.evaluate(() => {
    const border = (key: string) =>
      getComputedStyle(document.querySelector(key)!, "::before").borderTopColor;
    return {
      keys: [border(".key-step"), border(".key-mean"), border(".key-validation")],
      bar: getComputedStyle(document.querySelector("#progress")!).backgroundColor,
      value: getComputedStyle(document.body).getPropertyValue("--accent"),
    };
  });
  expect(new Set(styles.keys).size).toBe(3);
  expect(styles.value).toBe("Highlight");
});

test("while the device is readied, how far it is", async () => {
  const page = await open();
  await page.evaluate(() => {
    const Native = Worker;
    globalThis.Worker = class extends Native {
      constructor(url: string | URL, options?: WorkerOptions) {
        super(url, options);
        const tell = (data: object) => this.dispatchEvent(new MessageEvent("message", { data }));
        this.postMessage = () => {
          tell({ type: "prepare", what: "compile", done: 3, total: 7 });
        };
      }
    };
  });
  await page.click("#go");
  await expect.poll(() => page.textContent("#device")).toBe("Compiling 3 of 7…");
  expect(await page.textContent("#speed")).toBe("–");
  expect(await page.textContent("#time-left")).toBe("–");
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
