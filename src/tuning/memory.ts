// What was measured on this machine's adapters, remembered between runs. A memory that is wrong does no harm: it
// only chooses between kernels that all are right.

import { isRecord, recallAdapters, rememberAdapters } from "../device/adapter_memory.ts";

/** Milliseconds of each variant that was tried, by its name. */
export type Times = Record<string, number>;

/** Of one adapter: the times of every shape that was measured, by the shape's key. */
export type Measurements = Record<string, Times>;

/** Of the file, in the platform's memory. */
export const MEMORY_NAME = "kernels.json";

export async function recall(key: string): Promise<Measurements> {
  return (await recallAdapters(MEMORY_NAME, onlyTimes)).get(key) ?? {};
}

/**
 * Adds measurements of an adapter to what is remembered.
 * @returns why that could not be done; null if it was
 */
export async function remember(key: string, measured: Measurements): Promise<string | null> {
  const all = await recallAdapters(MEMORY_NAME, onlyTimes);
  return rememberAdapters(MEMORY_NAME, all.set(key, { ...all.get(key), ...measured }));
}

function onlyTimes(shapes: unknown): Measurements | undefined {
  if (!isRecord(shapes)) return undefined;
  const isTime = (ms: unknown) => typeof ms === "number" && Number.isFinite(ms) && ms >= 0;
  const isTimes = (times: unknown): times is Times =>
    isRecord(times) && Object.values(times).length > 0 && Object.values(times).every(isTime);
  return Object.fromEntries(
    Object.entries(shapes).filter((entry): entry is [string, Times] => isTimes(entry[1])),
  );
}
