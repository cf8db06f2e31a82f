// Finds a GPU for the tests in Node: the machine's own, or SwiftShader (a GPU in software) from npm.

import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cache, canUnpack, unpack } from "./unpack.ts";

type Variables = Record<string, string>;

export interface TestGpu {
  /** What the adapter calls itself. */
  name: string;
  /** What must be in the environment before a process that uses it starts. */
  env: Variables;
}

/** Tries what the machine has, then SwiftShader; throws a sentence where neither gives an adapter. */
export function findGpu(): TestGpu {
  const wanted = process.env.MICROGPT_TEST_GPU ?? "any";
  if (!["any", "system", "swiftshader"].includes(wanted)) {
    throw new Error(
      `MICROGPT_TEST_GPU is "${wanted}"; it must be "system" or "swiftshader", or not be set.`,
    );
  }
  const failures: string[] = [];
  for (const kind of ["system", "swiftshader"]) {
    if (wanted !== "any" && wanted !== kind) continue;
    const env = kind === "system" ? systemEnvironment() : swiftshaderEnvironment();
    if (env === undefined) {
      failures.push(`${kind}: available for Linux x64 only`);
      continue;
    }
    const { name, failure } = probe(env);
    if (name) return { name: `${name} (${kind})`, env };
    failures.push(`${kind}: ${failure}`);
  }
  throw new Error(
    `No WebGPU adapter for the tests (${failures.join("; ")}). Install a Vulkan driver that Dawn accepts ` +
      "(on Debian and Ubuntu: mesa-vulkan-drivers, Mesa 24 or newer), or run them on Linux x64.",
  );
}

/** The environment as it is, and what Mesa wants to be told. */
function systemEnvironment(): Variables {
  return {
    // Mesa warns where there is none.
    XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? tmpdir(),
    // lavapipe compiles a shader at its first dispatch, seconds for a large kernel: keep the results.
    MESA_SHADER_CACHE_DIR: process.env.MESA_SHADER_CACHE_DIR ?? join(cache, "mesa"),
  };
}

/** SwiftShader and a Vulkan loader, unpacked; the loader finds the driver through a JSON file beside it. */
function swiftshaderEnvironment(): Variables | undefined {
  if (!canUnpack()) return undefined;
  const folder = unpack("swiftshader", ["swiftshader.tar.br"]);
  const driver = join(folder, "vk_swiftshader_icd.json");
  const others = process.env.LD_LIBRARY_PATH;
  return {
    ...systemEnvironment(),
    LD_LIBRARY_PATH: others ? `${folder}:${others}` : folder,
    // The same thing twice: the loader's newer name and its older one.
    VK_DRIVER_FILES: driver,
    VK_ICD_FILENAMES: driver,
  };
}

function probe(env: Variables): { name?: string; failure?: string } {
  const child = spawnSync(
    process.execPath,
    [fileURLToPath(new URL("./probe.ts", import.meta.url))],
    {
      env: { ...process.env, ...env },
      encoding: "utf8",
      timeout: 60_000,
    },
  );
  if (child.status !== 0) {
    const reason = child.stderr.trim().split("\n").at(-1) || child.error?.message || child.signal;
    return { failure: `asking for an adapter failed: ${reason}` };
  }
  const info = JSON.parse(child.stdout.trim().split("\n").at(-1)!);
  if (info === null) return { failure: "no adapter" };
  return { name: [info.device, info.description].filter(Boolean).join(", ") || info.vendor };
}
