// What survives a reload of the page, and what is said where something does not.

import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import {
  browser,
  curvePixels,
  drivePage,
  drop,
  open,
  phaseOf,
  reach,
  server,
  set,
  settle,
  stepOf,
  train,
} from "./driver.ts";

drivePage();

test("text and settings come back after a reload", async () => {
  const page = await open();
  await page.getByLabel("Paste").check();
  await page.getByLabel("Training text").fill("anna\notto\n");
  await set(page, { device: "cpu", n_embd: "12.5", temperature: "1.3" });
  await page.selectOption("#preset", "microgpt-cosine");
  await set(page, { num_steps: "77", n_embd: "12.5" });
  await page.keyboard.press("Tab");
  await expect.poll(() => keptForm(page)).toMatchObject({ values: { num_steps: "77" } });
  await page.reload();
  await page.locator("body[data-phase=idle]").waitFor();
  expect(await page.inputValue("#paste")).toBe("anna\notto\n");
  expect(await page.textContent("#text-summary")).toContain("2 documents, 4 different");
  expect(await page.inputValue("#preset")).toBe("microgpt-cosine");
  expect(await page.inputValue("#setting-num_steps")).toBe("77");
  expect(await page.inputValue("#setting-n_embd")).toBe("12.5"); // as it was, wrong as it is
  expect(await page.isChecked("[name=device][value=cpu]")).toBe(true);

  await drop(page, "words.txt", Buffer.from("été\n"));
  await expect.poll(() => page.textContent("#text-summary")).toContain("1 document, 2 different");
  await expect.poll(() => keptForm(page)).toMatchObject({ source: "file" });
  await page.reload();
  await page.locator("body[data-phase=idle]").waitFor();
  expect(await page.textContent("#file-name")).toBe("words.txt");
  expect(await page.textContent("#text-summary")).toContain("1 document, 2 different");
});

test("a run goes on after a reload, and ends as if there had been none", async () => {
  const settings = { device: "cpu", num_steps: "200", n_embd: "64", num_samples: "4" };
  const whole = await open();
  await train(whole, settings);
  const loss = await whole.textContent("#loss");
  const texts = await whole.locator(".look").first().locator("li").allTextContents();
  await whole.close();

  const page = await open();
  await set(page, settings);
  await page.click("#go");
  expect(await pauseAfter(page, 10)).toBe(true);
  await settle(page);
  await expect.poll(() => asks(page)).toBe(false);
  const step = await stepOf(page);
  expect(step).toBeLessThan(200);

  await page.reload();
  await page.locator("body[data-phase=idle]").waitFor();
  expect(await page.textContent("#offer-text")).toMatch(
    new RegExp(`^A run on names.txt is kept: stopped at step ${step} of 200 `),
  );
  await page.click("#go-on");
  await page.locator("body[data-phase=done]").waitFor();
  expect(await page.textContent("#loss")).toBe(loss);
  expect(await page.locator(".look").first().locator("li").allTextContents()).toEqual(texts);
  expect(await curvePixels(page)).toBeGreaterThan(300);
  expect(await page.isVisible("#offer")).toBe(false);
  await expect.poll(() => asks(page)).toBe(false);

  // The model is kept in the place of the run.
  await page.reload();
  await page.locator("body[data-phase=open]").waitFor();
  expect(await stepOf(page)).toBe(200);
  expect(await page.textContent("#loss")).toBe(loss);
  expect(await page.locator("#models-list li").count()).toBe(1);
  await page.click("#write");
  await expect.poll(() => page.locator(".look:not(.reads) li").count()).toBe(5);
});

test("a run is kept where it pauses, however far apart the worker hears of the two", async () => {
  const context = await browser.newContext();
  await context.addInitScript(() => {
    const post = Worker.prototype.postMessage;
    let last = Promise.resolve();
    Worker.prototype.postMessage = function (message: unknown) {
      last = last.then(() => new Promise((resolve) => setTimeout(resolve, 100)));
      void last.then(() => post.call(this, message));
    };
  });
  const page = await open(context);
  await paused(page);
  await expect.poll(() => asks(page)).toBe(false);
  const [{ step }] = await keptItems(page);
  expect(step).toBe(await stepOf(page));
});

test("a reset keeps a run that is going on", async () => {
  const page = await open();
  await set(page, { device: "cpu", num_steps: "1000000" });
  await page.click("#go");
  await reach(page, 100);
  await page.click("#reset");
  await page.locator("#go-on").waitFor();
  await page.click("#go-on");
  await reach(page, 100);
  await page.click("#reset");
  await page.getByRole("button", { name: /^Remove/ }).click();
  await expect.poll(() => keptItems(page)).toEqual([]);
  await expect.poll(() => page.isVisible("#offer")).toBe(false);
  expect(await stepOf(page)).toBe(0);
});

test("a run is kept every minute, and its page asks before it is left", async () => {
  const page = await (await browser.newContext()).newPage();
  await page.clock.install();
  await page.close();
  const timed = await open(page.context());
  await set(timed, { device: "cpu", num_steps: "1000000" });
  await timed.click("#go");
  await reach(timed, 50);
  expect(await keptItems(timed)).toEqual([]);
  const dialog = timed.waitForEvent("dialog").then((asked) => {
    expect(asked.type()).toBe("beforeunload");
    return asked.dismiss();
  });
  await timed.click("#device"); // browsers ask only where somebody has done something
  await timed.close({ runBeforeUnload: true });
  await dialog;
  await timed.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await timed.clock.fastForward(60_000);
  await expect.poll(() => keptItems(timed)).toMatchObject([{ kind: "run", name: "names.txt" }]);
});

test("two tabs keep a run each, and neither takes the other's", async () => {
  const context = await browser.newContext();
  const [one, two] = [await open(context), await open(context)];
  for (const [page, seed] of [
    [one, "1"],
    [two, "2"],
  ] as const) {
    await page.bringToFront();
    await set(page, { device: "cpu", num_steps: "1000000", seed });
    await page.click("#go");
    await reach(page, 10);
    await page.click("#go");
    await expect.poll(() => asks(page)).toBe(false);
  }
  const kept = await keptItems(one);
  expect(kept.map(({ config }) => config.seed).toSorted()).toEqual([1, 2]);

  const three = await open(context);
  expect(await three.isVisible("#offer")).toBe(false);
  expect(await three.getByText("Another tab trains it.").count()).toBe(2);
  await two.close();
  // Seen when the user comes to the tab, and the other is gone by then.
  await expect
    .poll(() => {
      void three.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
      return three.isVisible("#offer");
    })
    .toBe(true);
  await three.click("#go-on");
  await three.locator("body[data-phase=running]").waitFor();
  expect(await three.evaluate(() => document.querySelector("#step")!.textContent)).not.toBe("0");
});

test("a full storage is said, until there is room again", async () => {
  const page = await browser.newPage();
  const cdp = await page.context().newCDPSession(page);
  const { origin } = new URL(server.url);
  await cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1 });
  await page.goto(server.url);
  await page.locator("body[data-phase=idle]").waitFor();
  await train(page, { device: "cpu", num_steps: "30", num_samples: "1" });
  const full =
    "the browser's storage for this page is full; removing models makes room, and a model can be downloaded.";
  await expect
    .poll(() => page.textContent("#note"))
    .toBe(`A reload would lose the settings and the model: ${full}`);
  expect(await asks(page)).toBe(true);
  const download = page.waitForEvent("download");
  await page.click("#download");
  await download;
  await expect.poll(() => asks(page)).toBe(false);

  await page.click("#reset");
  await set(page, { num_steps: "1000000" });
  await page.click("#go");
  await reach(page, 5);
  await page.click("#go");
  await expect.poll(() => page.textContent("#note")).toContain("the run since step 0");
  expect(await asks(page)).toBe(true);
  await cdp.send("Storage.overrideQuotaForOrigin", { origin });
  await page.click("#go");
  await page.click("#go");
  await expect.poll(() => asks(page)).toBe(false);
  expect(await page.textContent("#note")).not.toContain("the run");
});

test("without a storage it says so and trains", async () => {
  const context = await browser.newContext();
  await context.addInitScript(() => {
    indexedDB.open = () => {
      throw new DOMException("The user denied it", "SecurityError");
    };
  });
  const page = await open(context);
  expect(await page.textContent("#note")).toMatch(
    /^Nothing is kept here over a reload: .*The user denied it.* Download what should last\.$/,
  );
  await train(page, { device: "cpu", num_steps: "5", num_samples: "1" });
  expect(await asks(page)).toBe(true);
});

interface Damage {
  what: string;
  kept: (page: Page) => Promise<void>;
  spoil: (page: Page) => Promise<void>;
  after?: (page: Page) => Promise<void>;
  sentence: string;
  left?: number;
}

const damages: Damage[] = [
  {
    what: "a model's file",
    kept: trained,
    spoil: (page) => spoil(page, "data", "weights", "blob"),
    after: (page) => page.click("#write"),
    sentence: "A kept model on names.txt was damaged, and is dropped: ",
  },
  {
    what: "a run's file",
    kept: paused,
    spoil: (page) => spoil(page, "data", "weights", "blob"),
    after: (page) => page.click("#go-on"),
    sentence: "A kept run on names.txt was damaged, and is dropped: ",
  },
  {
    what: "a run's text",
    kept: paused,
    spoil: (page) => spoil(page, "data", "text", "blob"),
    after: (page) => page.click("#go-on"),
    sentence: "A kept run on names.txt was damaged, and is dropped: The text is not the one",
  },
  {
    what: "what is known of a model",
    kept: trained,
    spoil: (page) => spoil(page, "items", "", { id: 7 }),
    sentence: "What was kept here was damaged, and is dropped: a model.",
  },
  {
    what: "the settings",
    kept: trained,
    spoil: (page) => spoil(page, "form", "settings", ["no", "form"]),
    sentence: "What was kept here was damaged, and is dropped: the settings.",
    left: 1,
  },
];

test.each(damages)("damage is said and dropped: $what", async (damage) => {
  const page = await open();
  await damage.kept(page);
  await expect.poll(() => keptItems(page)).toHaveLength(1);
  await damage.spoil(page);
  await page.reload();
  await damage.after?.(page);
  await expect.poll(() => page.textContent("#note")).toContain(damage.sentence);
  const { left = 0 } = damage;
  await expect.poll(() => keptItems(page)).toHaveLength(left);
  await expect.poll(() => phaseOf(page)).toBe(left ? "open" : "idle");
});

async function trained(page: Page): Promise<void> {
  await train(page, { device: "cpu", num_steps: "30", num_samples: "1" });
}

async function paused(page: Page): Promise<void> {
  await set(page, { device: "cpu", num_steps: "1000000" });
  await page.click("#go");
  await reach(page, 5);
  await page.click("#go");
}

/** Pauses once more than `step` steps are shown; says whether the page would then have asked before it was left. */
function pauseAfter(page: Page, step: number): Promise<boolean> {
  return page.evaluate(
    (step) =>
      new Promise<boolean>((resolve) => {
        const look = () => {
          if (Number(document.querySelector("#step")!.textContent) <= step) {
            requestAnimationFrame(look);
            return;
          }
          resolve(!dispatchEvent(new Event("beforeunload", { cancelable: true })));
          document.querySelector<HTMLElement>("#go")!.click();
        };
        look();
      }),
    step,
  );
}

/** Whether the page would ask before it is left. */
function asks(page: Page): Promise<boolean> {
  return page.evaluate(() => !dispatchEvent(new Event("beforeunload", { cancelable: true })));
}

const keptForm = (page: Page) => stored(page, "form").then(({ settings }) => settings);
const keptItems = (page: Page) => stored(page, "items").then((items) => Object.values(items));

function stored(page: Page, table: string): Promise<Record<string, any>> {
  return page.evaluate(
    (table) =>
      new Promise((resolve) => {
        indexedDB.open("microgpt-webgpu").onsuccess = ({ target }) => {
          const { result } = target as IDBOpenDBRequest;
          const store = result.transaction(table).objectStore(table);
          const keys = store.getAllKeys();
          store.getAll().onsuccess = ({ target }) => {
            result.close();
            const values = (target as IDBRequest).result;
            resolve(Object.fromEntries(keys.result.map((key, i) => [key, values[i]])));
          };
        };
      }),
    table,
  );
}

/** Puts something else in the place of what is kept under the first key that ends so. */
function spoil(page: Page, table: string, end: string, value: unknown): Promise<void> {
  return page.evaluate(
    ({ table, end, value }) =>
      new Promise<void>((resolve) => {
        indexedDB.open("microgpt-webgpu").onsuccess = ({ target }) => {
          const { result } = target as IDBOpenDBRequest;
          const transaction = result.transaction(table, "readwrite");
          const store = transaction.objectStore(table);
          store.getAllKeys().onsuccess = ({ target }) => {
            const keys = (target as IDBRequest<string[]>).result;
            const key = keys.find((key) => key.endsWith(end));
            store.put(value === "blob" ? new Blob(["no weights"]) : value, key);
          };
          transaction.oncomplete = () => {
            result.close();
            resolve();
          };
        };
      }),
    { table, end, value },
  );
}
