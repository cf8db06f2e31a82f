// What `doctor` found out about the device at hand, remembered between runs: with which dtypes all of its checks pass.
// A certificate is of one adapter with its driver, features and WebGPU, of one version of this package and of the
// kernels' very text; under any other of them there is none.

import { platform } from "#platform";
import type { Config } from "../config.ts";
import {
  adapterKey,
  digest,
  isRecord,
  recallAdapters,
  rememberAdapters,
} from "./adapter_memory.ts";
import type { Device } from "./device.ts";

export interface Certificate {
  /** Of the run, in universal time: 2026-11-24. */
  date: string;
  /** Of the models whose gradients and losses were right. */
  dtypes: Config["dtype"][];
}

const FILE = "certificates.json";

/** Where certificates are remembered, for people. */
export function certificatesPlace(): string {
  return platform.memoryPlace(FILE);
}

/** What is remembered of this device; undefined where it has no certificate. */
export async function recallCertificate(device: Device): Promise<Certificate | undefined> {
  return (await recallAdapters(FILE, certificateOf)).get(await keyOf(device));
}

/**
 * Puts a certificate in the place of the device's earlier one, or removes that where there is none to put.
 * @returns why that could not be done; null if it was
 */
export async function rememberCertificate(
  device: Device,
  certificate: Certificate | null,
): Promise<string | null> {
  const [all, key] = [await recallAdapters(FILE, certificateOf), await keyOf(device)];
  if (certificate) all.set(key, certificate);
  else if (!all.delete(key)) return null;
  return rememberAdapters(FILE, all);
}

async function keyOf(device: Device): Promise<string> {
  const adapter = await adapterKey(device, device.kernels.names);
  const features = await digest(JSON.stringify([device.features, device.lanes]));
  const { engine, webgpu } = platform.versions();
  return `${adapter}; features ${features}; ${webgpu}; microgpt-webgpu ${engine}`;
}

function certificateOf(value: unknown): Certificate | undefined {
  if (!isRecord(value)) return undefined;
  const { date, dtypes } = value;
  if (typeof date !== "string" || !/^\d{4}-\d\d-\d\d$/.test(date)) return undefined;
  if (!Array.isArray(dtypes)) return undefined;
  return { date, dtypes: (["f32", "f16"] as const).filter((dtype) => dtypes.includes(dtype)) };
}
