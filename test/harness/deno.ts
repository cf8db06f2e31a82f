// Starts a command under Deno, whose WebGPU is wgpu: the second implementation that all is held to.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DENO } from "../../src/platform/invocation.ts";
import { root } from "./unpack.ts";

/** The program inside the npm package `deno`; undefined on a system that it has none for. */
export function findDeno(): string | undefined {
  const { platform, arch } = process;
  const name = `${platform}-${arch}${platform === "linux" ? "-glibc" : ""}`;
  const file = platform === "win32" ? "deno.exe" : "deno";
  const path = join(root, "node_modules/@deno", name, file);
  return existsSync(path) ? path : undefined;
}

/** Runs a script of this repository, without what sets our own flags. */
export function startDeno(
  script: string,
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("MICROGPT_") && !name.startsWith("npm_"),
  );
  return spawn(findDeno()!, [...DENO.slice(1), join(root, script), ...argv], {
    env: { ...Object.fromEntries(inherited), DENO_NO_UPDATE_CHECK: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

export async function finish(child: ChildProcess) {
  const text = { stdout: "", stderr: "" };
  child.stdout!.on("data", (data) => (text.stdout += data));
  child.stderr!.on("data", (data) => (text.stderr += data));
  const [code] = await once(child, "close");
  return { code: code as number, ...text };
}
