// The platform in a browser: navigator.gpu and the shaders bundled as text.

import type { Platform } from "./platform.ts";

const shaders = import.meta.glob<string>("../../shaders/*.wgsl", {
  query: "?raw",
  import: "default",
  eager: true,
});

export const platform: Platform = {
  async gpu() {
    return navigator.gpu;
  },

  shaders() {
    return Object.fromEntries(
      Object.entries(shaders).map(([path, text]) => [path.replace(/^.*\/|\.wgsl$/g, ""), text]),
    );
  },
};
