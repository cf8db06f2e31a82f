// The platform in a browser: navigator.gpu and the shaders bundled as text.

import { shaders, version } from "./bundled.ts";
import type { Platform } from "./platform.ts";

/** Of the browser's Cache Storage, which workers reach too. */
const CACHE = "microgpt-webgpu";

const implementation =
  /Firefox|Edg|OPR|Chrome|Safari/.exec(navigator.userAgent)?.[0] ?? "this browser";

/** What browsers grant a tab at the least; they do not tell how much there is. */
const TAB_BYTES = 2 ** 31;

export const platform: Platform = {
  async gpu() {
    return navigator.gpu;
  },

  // The GPU has a process of its own. That of Firefox looks for what is done when something is submitted, and else
  // ten times a second.
  wait(work, nudge) {
    if (implementation !== "Firefox" || !nudge) return work;
    const timer = setInterval(nudge, 1);
    return work.finally(() => clearInterval(timer));
  },

  turn() {
    const { port1, port2 } = new MessageChannel(); // a timer would take four milliseconds
    return new Promise((resolve) => {
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(null);
    });
  },

  async recall(name) {
    try {
      const cache = await caches.open(CACHE);
      return await (await cache.match(`/${name}`))?.text();
    } catch {
      return undefined; // a browser that keeps nothing, in a private window for instance
    }
  },

  async remember(name, text) {
    try {
      const cache = await caches.open(CACHE);
      await cache.put(`/${name}`, new Response(text));
      return null;
    } catch (error) {
      return String(error);
    }
  },

  memoryPlace() {
    return "the browser's storage for this page";
  },

  versions() {
    return { engine: version, webgpu: navigator.userAgent };
  },

  implementation,

  softwareGpu: null,

  doctor: null,

  memory() {
    return TAB_BYTES;
  },

  cores() {
    return navigator.hardwareConcurrency || 1; // some browsers hide it
  },

  shaders() {
    return shaders;
  },
};
