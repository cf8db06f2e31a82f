// How long a user waits for the first loss: from the start of the process, shader caches off or on.
//
//   node test/bench/cold_start.ts

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digits } from "../../cli/format.ts";
import { median } from "../../src/device/timing.ts";
import { own, root } from "./contest.ts";

/** Off in NVIDIA's driver and in Mesa. */
const noCaches = { __GL_SHADER_DISK_CACHE: "0", MESA_SHADER_CACHE_DISABLE: "true" };

/** Median seconds from the start of a default run to its first loss. */
export async function firstLossSeconds(caches: "cold" | "warm", repeats = 3): Promise<number> {
  if (caches === "warm") await once({}); // fills them
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) times.push(await once(caches === "cold" ? noCaches : {}));
  return median(times);
}

async function once(env: Record<string, string>): Promise<number> {
  const output = mkdtempSync(join(tmpdir(), "microgpt-start-"));
  const flags = ["--json", "--log-every", "1", "--device", "webgpu", "--output", output];
  const [file, ...args] = own("train", ...flags);
  const start = performance.now();
  const child = spawn(file, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "ignore"],
  });
  let seconds: number | undefined;
  let text = "";
  child.stdout.on("data", (data) => {
    text += data;
    if (seconds !== undefined || !text.includes(`"type":"step"`)) return;
    seconds = (performance.now() - start) / 1000;
    child.kill("SIGKILL"); // there is nothing to save
  });
  await new Promise((resolve) => child.on("close", resolve));
  rmSync(output, { recursive: true });
  if (seconds === undefined) throw new Error("the run ended without a loss");
  return seconds;
}

if (import.meta.main) {
  for (const caches of ["cold", "warm"] as const) {
    console.log(
      `${caches} shader caches: ${digits(await firstLossSeconds(caches))} s to the first loss`,
    );
  }
}
