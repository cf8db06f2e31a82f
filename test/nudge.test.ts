// How a page waits for the GPU: Firefox has to be asked, and no other browser is.

import { afterEach, expect, test, vi } from "vitest";

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.resetModules();
});

const agents = {
  Firefox: "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0",
  Chrome:
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36",
  Safari:
    "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
};

async function platformOf(userAgent: string) {
  vi.stubGlobal("navigator", { userAgent });
  vi.resetModules();
  return (await import("../src/platform/platform.browser.ts")).platform;
}

test.each(Object.entries(agents))(
  "%s: what waits is nudged where that helps, until it is done",
  async (name, agent) => {
    const { wait, implementation } = await platformOf(agent);
    expect(implementation).toBe(name);
    vi.useFakeTimers();
    let nudges = 0;
    const { promise, resolve } = Promise.withResolvers<number>();
    const later = wait(promise, () => void nudges++);
    await vi.advanceTimersByTimeAsync(40);
    expect(nudges > 2).toBe(name === "Firefox");
    resolve(7);
    expect(await later).toBe(7);
    nudges = 0;
    await vi.advanceTimersByTimeAsync(40);
    expect(nudges).toBe(0);
    expect(await wait(Promise.resolve(8))).toBe(8);
    await expect(wait(Promise.reject(new Error("lost")), () => {})).rejects.toThrow("lost");
  },
);
