// What a machine remembers of its adapters between runs: in each file, one thing of every adapter. A text that is
// damaged, or was written by other software, is no more than forgotten.

import { platform } from "#platform";
import type { Device } from "./device.ts";

/** Raised when an older program would misread what is written. */
const FORMAT = 1;

/** Adapter and driver, and the kernels' own text: where one of them changes, nothing is known yet. */
export async function adapterKey(device: Device, kernels: readonly string[]): Promise<string> {
  const { vendor, architecture, device: model, description } = device.info;
  const sources = kernels.map((kernel) => device.kernels.source(kernel)).join("\0");
  const names = [vendor, architecture, model, description].filter(Boolean).join(", ");
  return `${names}${platform.through ?? ""}; kernels ${await digest(sources)}`;
}

/** The first 12 hexadecimal digits of a text's SHA-256. */
export async function digest(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(bytes).subarray(0, 6)]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/**
 * What a file holds, by the adapters' keys.
 * @param read gives what a value stands for, and undefined where it is none that this program wrote
 */
export async function recallAdapters<T>(
  file: string,
  read: (value: unknown) => T | undefined,
): Promise<Map<string, T>> {
  let value: unknown;
  try {
    value = JSON.parse((await platform.recall(file)) ?? "");
  } catch {
    return new Map();
  }
  if (!isRecord(value) || value.format !== FORMAT || !isRecord(value.adapters)) return new Map();
  const known = Object.entries(value.adapters).map(([key, kept]) => [key, read(kept)] as const);
  return new Map(known.filter((entry): entry is [string, T] => entry[1] !== undefined));
}

/**
 * Writes a file anew.
 * @returns why that could not be done; null if it was
 */
export function rememberAdapters<T>(
  file: string,
  known: ReadonlyMap<string, T>,
): Promise<string | null> {
  const all = { format: FORMAT, adapters: Object.fromEntries(known) };
  return platform.remember(file, `${JSON.stringify(all, null, 1)}\n`);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
