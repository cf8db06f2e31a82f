// The platform in Node: Dawn (the npm package `webgpu`) and the shaders read from disk.

import { readdirSync, readFileSync } from "node:fs";
import type { Platform } from "./platform.ts";

const shaderFolder = new URL("../../shaders/", import.meta.url);

// Kept for as long as the process lives: once the object that create() returns is
// collected, Dawn is torn down under every device made from it.
let instance: GPU | undefined;

// allow_unsafe_apis shows the experimental features (subgroup matrices);
// vulkan_enable_f16_on_nvidia shows shader-f16 there; the quantized clock ticks in 65 µs.
const toggles = [
  "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia",
  "disable-dawn-features=timestamp_quantization",
];

export const platform: Platform = {
  async gpu() {
    if (instance === undefined) {
      const { create, globals } = await import("webgpu");
      Object.assign(globalThis, globals);
      instance = create(toggles);
    }
    return instance;
  },

  memory() {
    return process.availableMemory();
  },

  shaders() {
    const files = readdirSync(shaderFolder).filter((file) => file.endsWith(".wgsl"));
    return Object.fromEntries(
      files.map((file) => [file.slice(0, -5), readFileSync(new URL(file, shaderFolder), "utf8")]),
    );
  },
};
