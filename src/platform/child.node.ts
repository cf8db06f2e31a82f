// A script of this package in a process of its own, which may die without taking this one along.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Child } from "./platform.ts";

/** Ends that are the script's own doing; a process that somebody stops has died of nothing. */
const deaths = new Set(["SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP", "SIGSYS"]);
/** Windows tells of an access violation and the like by an exit code from here on. */
const WINDOWS_DEATHS = 0xc0000000;

/**
 * Runs a script with `input` as its standard input, and collects the lines that it prints.
 * @param quiet_ms it is taken to hang once it has printed nothing for so long, and is ended
 */
export const child: Child = (script, input, quiet_ms, signal) =>
  new Promise((resolve) => {
    const run = spawn(process.execPath, [fileURLToPath(script)], {
      stdio: ["pipe", "pipe", "ignore"],
      windowsHide: true,
      signal,
      killSignal: "SIGKILL",
    });
    let text = "";
    let hung = false;
    const hang = () => {
      hung = true;
      run.kill("SIGKILL");
    };
    let quiet = setTimeout(hang, quiet_ms);
    const end = (how: string | null) => {
      clearTimeout(quiet);
      resolve({ lines: text.split("\n").slice(0, -1), death: how });
    };
    run.stdout.on("data", (piece) => {
      text += piece;
      clearTimeout(quiet);
      quiet = setTimeout(hang, quiet_ms);
    });
    run.stdin.on("error", () => {}); // it has ended before it read
    run.stdin.end(input);
    run.on("error", () => end(null)); // it could not be started, or was to stop
    run.on("close", (code, killed) => {
      if (hung) return end(`it did nothing for ${Math.round(quiet_ms / 1000)} s`);
      if (killed !== null) return end(deaths.has(killed) ? killed : null);
      const status = (code ?? 0) >>> 0;
      end(status >= WINDOWS_DEATHS ? `0x${status.toString(16).toUpperCase()}` : null);
    });
  });
