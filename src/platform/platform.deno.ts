// The platform in Deno, which implements WebGPU itself: by wgpu, with the WGSL compiler naga. All else is as in Node,
// whose modules Deno has.

import { DENO } from "./invocation.ts";
import type { Platform } from "./platform.ts";
import { platform as node } from "./platform.node.ts";

/** Those that compute. Through OpenGL, which Deno takes where there is nothing else, a training step never ends. */
const BACKENDS = "vulkan,metal,dx12";

const { userAgent, gpu } = navigator;

export const platform: Platform = {
  ...node,

  child: undefined, // it offers no matrix units to try

  async gpu() {
    process.env.DENO_WEBGPU_BACKEND ??= BACKENDS;
    if (gpu) return gpu;
    throw new Error(`${userAgent} offers it to \`${DENO.join(" ")}\` only`);
  },

  wait(work) {
    return work; // it sleeps between two looks for what is done
  },

  versions() {
    return { ...node.versions(), webgpu: `wgpu in ${userAgent.replace("/", " ")}` };
  },

  implementation: "wgpu",

  through: " through wgpu",
};
