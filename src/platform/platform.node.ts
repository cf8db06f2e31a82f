// The platform in Node: Dawn (the npm package `webgpu`) and the shaders read from disk.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { dirname, join } from "node:path";
import { child } from "./child.node.ts";
import { commandLine } from "./invocation.ts";
import type { Platform } from "./platform.ts";
import { isSoftware } from "./software.ts";

/** A nap is this share of the time waited so far, so that no work waits much longer than it must. */
const NAP = 0.02;
/** The shortest and the longest, in ms. */
const NAPS = [0.02, 5];

const shaderFolder = new URL("../../shaders/", import.meta.url);

// Kept for as long as the process lives: once an object that create() returns is
// collected, Dawn is torn down under every device made from it.
const instances: GPU[] = [];

// allow_unsafe_apis shows the experimental features (subgroup matrices);
// vulkan_enable_f16_on_nvidia shows shader-f16 there; the quantized clock ticks in 65 µs.
const features = ["allow_unsafe_apis", "vulkan_enable_f16_on_nvidia"];

/**
 * Leave out what Dawn adds around every access for the sake of pages that run strangers' shaders. On software GPUs
 * they stay in: matmul_lanes.wgsl reads past a tensor's end there.
 */
const unguarded = [
  "disable_robustness",
  "disable_workgroup_init",
  "disable_polyfills_on_integer_div_and_mod",
];

/** What create() is given. @param checked whether Dawn's guards stay in */
export function dawnToggles(checked: boolean): string[] {
  const enabled = checked ? features : [...features, ...unguarded];
  return [
    `enable-dawn-features=${enabled.join(",")}`,
    "disable-dawn-features=timestamp_quantization",
  ];
}

/** @param checked whether the guards stay in whatever the adapter is */
async function openDawn(checked: boolean): Promise<GPU> {
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  const open = (checked: boolean) => {
    instances.push(create(dawnToggles(checked)));
    return instances.at(-1)!;
  };
  const guarded = open(true);
  if (checked) return guarded;
  // Toggles are given before the adapter is known.
  const adapter = await guarded.requestAdapter({ powerPreference: "high-performance" });
  return adapter && !isSoftware(adapter.info) ? open(false) : guarded;
}

let dawn: Promise<GPU> | undefined;

/** Where this user's programs keep what they can do without. @throws Error if there is no such place */
export function cacheFolder(): string {
  const { MICROGPT_CACHE_DIR, XDG_CACHE_HOME } = process.env;
  return MICROGPT_CACHE_DIR || join(XDG_CACHE_HOME || usualCaches(), "microgpt-webgpu");
}

function usualCaches(): string {
  const { LOCALAPPDATA } = process.env;
  if (process.platform === "win32" && LOCALAPPDATA) return LOCALAPPDATA;
  let home: string;
  try {
    home = homedir();
  } catch {
    home = ""; // a user that the system has no record of, in a container for instance
  }
  if (home === "") throw new Error("there is no home folder; MICROGPT_CACHE_DIR can name a place");
  const folders = { darwin: ["Library", "Caches"], win32: ["AppData", "Local"] };
  return join(home, ...(folders[process.platform as keyof typeof folders] ?? [".cache"]));
}

/** As `mkdir -p`; Node's own never returns where the parent is there but refuses, as in /proc. */
export function makeFolder(path: string): void {
  const parent = dirname(path);
  if (parent !== path && !existsSync(parent)) makeFolder(parent); // an absent drive is its own parent
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) mkdirSync(path);
}

function versionIn(packageFile: URL): string {
  return JSON.parse(readFileSync(packageFile, "utf8")).version;
}

export const platform: Platform = {
  gpu() {
    return (dawn ??= openDawn(process.env.MICROGPT_SHADER_CHECKS === "1"));
  },

  // While a promise of Dawn's is open it polls at every turn of the event loop, without rest. That would cost
  // a core, and on a GPU in software one of those that do the work: so this thread sleeps between turns.
  async wait(work) {
    let open = true;
    const settle = () => (open = false);
    work.then(settle, settle);
    const clock = new Int32Array(new SharedArrayBuffer(4));
    const start = performance.now();
    for (;;) {
      await this.turn();
      if (!open) return work;
      const nap = NAP * (performance.now() - start);
      Atomics.wait(clock, 0, 0, Math.min(Math.max(nap, NAPS[0]), NAPS[1]));
    }
  },

  turn() {
    return new Promise((resolve) => setImmediate(resolve));
  },

  child,

  async recall(name) {
    try {
      return readFileSync(join(cacheFolder(), name), "utf8");
    } catch {
      return undefined;
    }
  },

  async remember(name, text) {
    try {
      const file = join(cacheFolder(), name);
      const temporary = `${file}.${process.pid}`;
      makeFolder(cacheFolder());
      try {
        writeFileSync(temporary, text);
        renameSync(temporary, file);
      } catch (error) {
        rmSync(temporary, { force: true });
        throw error;
      }
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  },

  memoryPlace(name) {
    try {
      return join(cacheFolder(), name);
    } catch {
      return "the user's cache folder"; // remember() tells why there is none
    }
  },

  versions() {
    return {
      engine: versionIn(new URL(import.meta.resolve("microgpt-webgpu/package.json"))),
      webgpu: `Dawn ${versionIn(new URL("package.json", import.meta.resolve("webgpu")))}`,
    };
  },

  implementation: "Dawn",

  softwareGpu:
    process.platform === "linux"
      ? "`apt install mesa-vulkan-drivers` (Debian, Ubuntu; Mesa 24 or newer)"
      : null,

  doctor: commandLine("doctor"),

  memory() {
    return process.availableMemory();
  },

  cores: availableParallelism,

  shaders() {
    const files = ["", "pieces/"].flatMap((folder) =>
      readdirSync(new URL(folder, shaderFolder)).map((file) => folder + file),
    );
    return Object.fromEntries(
      files
        .filter((file) => file.endsWith(".wgsl"))
        .map((file) => [file.slice(0, -5), readFileSync(new URL(file, shaderFolder), "utf8")]),
    );
  },
};
