// The platform in a browser: navigator.gpu and the shaders bundled as text.

import type { Platform } from "./platform.ts";

const shaders = import.meta.glob<string>("../../shaders/*.wgsl", {
  query: "?raw",
  import: "default",
  eager: true,
});

/** What browsers grant a tab at the least; they do not tell how much there is. */
const TAB_BYTES = 2 ** 31;

export const platform: Platform = {
  async gpu() {
    return navigator.gpu;
  },

  wait(work) {
    return work; // the GPU has a process of its own
  },

  memory() {
    return TAB_BYTES;
  },

  shaders() {
    return Object.fromEntries(
      Object.entries(shaders).map(([path, text]) => [path.replace(/^.*\/|\.wgsl$/g, ""), text]),
    );
  },
};
