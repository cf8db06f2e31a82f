// What a device's checks come to, and what is remembered of that: a certificate where all of them were run and
// passed, none where one fails.

import type { Config } from "../config.ts";
import {
  type Certificate,
  certificatesPlace,
  recallCertificate,
  rememberCertificate,
} from "../device/certificate.ts";
import type { Device } from "../device/device.ts";
import type { CheckResult } from "./kernel_case.ts";

export interface Verdict {
  passed: number;
  failed: number;
  /** What the device is certified for; null after a failure, or where only a part of the checks was run. */
  certificate: Certificate | null;
  /** What became of the device's place in the memory: after a part of the checks without a failure, nothing. */
  memory: "remembered" | "removed" | "unchanged";
  /** Where that is. */
  place: string;
  /** Why the memory could not be changed; null otherwise. */
  failure: string | null;
}

/**
 * Runs checks to their end, and remembers what they come to.
 * @param complete whether they are all there are
 * @param seen told of every result
 * @throws GpuError if the device fails; then it has no certificate any more
 */
export async function judgeDevice(
  device: Device,
  checks: AsyncIterable<CheckResult>,
  complete: boolean,
  seen: (result: CheckResult) => void,
): Promise<Verdict> {
  const dtypes = new Set<Config["dtype"]>();
  let [passed, failed] = [0, 0];
  try {
    for await (const result of checks) {
      seen(result);
      if (result.pass) passed++;
      else failed++;
      if (result.dtype) dtypes.add(result.dtype);
    }
  } catch (error) {
    await rememberCertificate(device, null);
    throw error;
  }
  const date = new Date().toISOString().slice(0, 10);
  const certificate =
    complete && failed === 0 && passed > 0 ? { date, dtypes: [...dtypes].sort().reverse() } : null;
  return { passed, failed, certificate, ...(await remember(device, certificate, failed > 0)) };
}

async function remember(device: Device, certificate: Certificate | null, failed: boolean) {
  const place = certificatesPlace();
  const outdated = failed && (await recallCertificate(device)) !== undefined;
  if (!certificate && !outdated) return { memory: "unchanged", place, failure: null } as const;
  const failure = await rememberCertificate(device, certificate);
  const changed = certificate ? "remembered" : "removed";
  return { memory: failure === null ? changed : "unchanged", place, failure } as const;
}
