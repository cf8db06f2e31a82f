// The platform in Deno, which implements WebGPU itself: by wgpu, with the WGSL compiler naga. All else is as in Node,
// whose modules Deno has.

import type { Platform } from "./platform.ts";
import { platform as node } from "./platform.node.ts";

const { userAgent, gpu } = navigator;

export const platform: Platform = {
  ...node,

  async gpu() {
    if (gpu) return gpu;
    throw new Error(`${userAgent} offers it with --unstable-webgpu: deno run -A --unstable-webgpu`);
  },

  wait(work) {
    return work; // it sleeps between two looks for what is done
  },

  versions() {
    return { ...node.versions(), webgpu: `wgpu in ${userAgent.replace("/", " ")}` };
  },

  implementation: "wgpu",
};
