// What was measured on this machine's adapters, remembered between runs. A text that is damaged, or written by
// other software, is no more than forgotten: what is remembered only chooses between kernels that all are right.

import { platform } from "#platform";
import type { Device } from "../device/device.ts";

/** Milliseconds of each variant that was tried, by its name. */
export type Times = Record<string, number>;

/** Of one adapter: the times of every shape that was measured, by the shape's key. */
export type Measurements = Record<string, Times>;

interface Remembered {
  format: 1;
  adapters: Record<string, Measurements>;
}

/** Of the text, in the platform's memory. */
export const MEMORY_NAME = "kernels.json";

/** Adapter and driver, and the kernels' own text: where one of them changes, all is measured anew. */
export async function adapterKey(device: Device, kernels: readonly string[]): Promise<string> {
  const { vendor, architecture, device: model, description } = device.info;
  const sources = kernels.map((kernel) => device.kernels.source(kernel)).join("\0");
  const names = [vendor, architecture, model, description].filter(Boolean).join(", ");
  return `${names}; kernels ${await digest(sources)}`;
}

/** The first 12 hexadecimal digits of a text's SHA-256. */
export async function digest(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(bytes).subarray(0, 6)]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

export async function recall(key: string): Promise<Measurements> {
  const { adapters } = parse(await platform.recall(MEMORY_NAME));
  return Object.hasOwn(adapters, key) ? adapters[key] : {};
}

/**
 * Adds measurements of an adapter to what is remembered.
 * @returns why that could not be done; null if it was
 */
export async function remember(key: string, measured: Measurements): Promise<string | null> {
  const { adapters } = parse(await platform.recall(MEMORY_NAME));
  const before = Object.hasOwn(adapters, key) ? adapters[key] : {};
  const all: Remembered = {
    format: 1,
    adapters: { ...adapters, [key]: { ...before, ...measured } },
  };
  return platform.remember(MEMORY_NAME, `${JSON.stringify(all, null, 1)}\n`);
}

/** What of a text is as this file writes it. */
function parse(text = ""): Remembered {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = {};
  }
  const written = isRecord(value) && value.format === 1 && isRecord(value.adapters);
  const adapters = Object.entries(written ? (value as { adapters: object }).adapters : {})
    .filter((entry): entry is [string, Record<string, unknown>] => isRecord(entry[1]))
    .map(([key, shapes]) => [key, onlyTimes(shapes)]);
  return { format: 1, adapters: Object.fromEntries(adapters) };
}

function onlyTimes(shapes: Record<string, unknown>): Measurements {
  const isTime = (ms: unknown) => typeof ms === "number" && Number.isFinite(ms) && ms >= 0;
  const isTimes = (times: unknown): times is Times =>
    isRecord(times) && Object.values(times).length > 0 && Object.values(times).every(isTime);
  return Object.fromEntries(
    Object.entries(shapes).filter((entry): entry is [string, Times] => isTimes(entry[1])),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
