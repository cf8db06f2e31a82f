// Certifies this machine's WebGPU: every kernel, gradient and a short training run against float64.
//
//   npm run doctor

import { platform } from "#platform";
import { type Device, openDevice } from "../src/device/device.ts";
import { matrixUnit } from "../src/device/matrix_unit.ts";
import { type CheckResult, certify, countChecks, tryChecks } from "../src/verify/certify.ts";
import { judgeDevice, type Verdict } from "../src/verify/verdict.ts";
import { command } from "./command.ts";
import { Countdown } from "./countdown.ts";
import * as options from "./options.ts";
import { count, plural } from "../src/count.ts";
import { EXIT_FAILED, type Output, run } from "./run.ts";

const description = {
  name: "doctor",
  summary: "Checks that this machine's WebGPU computes what the float64 reference computes.",
  options: [
    { ...options.device, help: "auto or webgpu; the CPU is what it is checked against" },
    options.only,
  ],
};

export const main = command(description, async (flags, io) => {
  flags.choice(options.device, ["auto", "webgpu"]);
  const report = flags.has(options.json) ? jsonReport(io.stdout) : humanReport(io.stdout);
  const device = await openDevice();
  try {
    const only = flags.text(options.only);
    await tryChecks(device, only);
    report.device(device);
    const countdown = new Countdown(io.stderr, countChecks(device, only));
    const check = (result: CheckResult) => countdown.next(() => report.check(result));
    try {
      return await examine(device, only, { ...report, check });
    } finally {
      countdown.end();
    }
  } finally {
    device.destroy();
  }
});

/** Runs all checks or those that `only` names, and reports them; the exit code. */
export async function examine(
  device: Device,
  only: string | undefined,
  report: Omit<DoctorReport, "device">,
  checks: AsyncIterable<CheckResult> = certify(device, only),
): Promise<number> {
  const verdict = await judgeDevice(device, checks, only === undefined, report.check);
  report.end(verdict);
  return verdict.failed === 0 && verdict.passed > 0 ? 0 : EXIT_FAILED;
}

interface DoctorReport {
  device(
    device: Pick<Device, "name" | "info" | "features" | "limits" | "lanes" | "matrixFault">,
  ): void;
  check(result: CheckResult): void;
  end(verdict: Verdict): void;
}

function unitsOf(device: Parameters<typeof matrixUnit>[0]) {
  const all = [matrixUnit(device, "f16"), matrixUnit(device, "f32")];
  return all.filter((unit) => unit !== undefined);
}

export function jsonReport(out: Output): DoctorReport {
  const print = (event: object) => out.write(`${JSON.stringify(event)}\n`);
  return {
    device({ name, info, features, limits, lanes, matrixFault }) {
      const { vendor, architecture, device, description } = info;
      const adapter = { vendor, architecture, device, description };
      const units = unitsOf({ features, info, matrixFault });
      const matrix_unit = units[0] ?? null;
      const matrix_fault = matrixFault ?? null;
      const { webgpu } = platform.versions();
      const said = { name, info: adapter, features, limits, lanes, matrix_unit, matrix_fault };
      print({ type: "device", webgpu, ...said });
    },
    check: print,
    end(verdict) {
      print({ type: "end", ...verdict });
    },
  };
}

/** One row a check: what was computed, the error found, the error allowed. */
export function humanReport(out: Output): DoctorReport {
  const row = (kernel: string, error: string, allowed: string, verdict: string, name: string) =>
    out.write(
      `${kernel.padEnd(32)} ${error.padStart(9)} ${allowed.padStart(9)}  ${verdict.padEnd(6)}  ${name}\n`,
    );
  return {
    device({ name, info, features, limits, lanes, matrixFault }) {
      const units = unitsOf({ features, info, matrixFault }).map(
        ({ M, N, K, operands }) => `matrices of ${M} x ${N} x ${K} in ${operands}`,
      );
      const matrices = units.join(", ") || "no matrix units";
      const rows = Object.entries(limits).map(([limit, value]) => `${limit} ${count(value)}`);
      out.write(
        `adapter   ${[name, info.vendor, info.architecture].filter(Boolean).join(", ")}\n` +
          `webgpu    ${platform.versions().webgpu}\n` +
          `features  ${features.join(", ")}\n` +
          `subgroups ${lanes} lanes, ${matrices}\n` +
          `${matrixFault === undefined ? "" : `matrices  ${matrixFault}\n`}` +
          `limits    ${rows.join("\n          ")}\n\n`,
      );
      row("kernel", "error", "allowed", "", "case");
    },
    check({ kernel, case: name, error, allowed, pass, detail }) {
      const verdict = pass ? "ok" : "FAILED";
      const what = pass || detail === undefined ? name : `${name}: ${detail}`;
      row(kernel, error.toExponential(1), allowed.toExponential(1), verdict, what);
    },
    end(verdict) {
      const { passed, failed } = verdict;
      const checks = plural(passed + failed, "check");
      const outcome = failed === 0 ? `${checks} passed` : `${failed} of ${checks} failed`;
      if (passed + failed === 0) out.write("No check has that name.\n");
      else out.write(`${outcome}\n${memoryLine(verdict)}\n`);
    },
  };
}

/** What is remembered of the device after its checks, and where. */
function memoryLine({ failed, certificate, memory, place, failure }: Verdict): string {
  if (certificate && failure !== null) {
    return `The certificate could not be remembered in ${place}: ${failure}.`;
  }
  if (certificate) {
    const { date, dtypes } = certificate;
    const half = dtypes.includes("f16");
    return (
      `Remembered in ${place}: ${dtypes.join(" and ")} certified on ${date} for ` +
      `${platform.versions().webgpu}. --dtype auto takes ${half ? "f16 here, for all but small models" : "f32 here"}.`
    );
  }
  if (failure !== null) {
    return `The earlier certificate could not be removed from ${place}; delete that file: ${failure}.`;
  }
  if (memory === "removed") return `The earlier certificate was removed from ${place}.`;
  return failed > 0
    ? `No certificate is remembered in ${place}.`
    : `Nothing was remembered in ${place}: a certificate takes all checks, without --only.`;
}

if (import.meta.main) await run(main);
