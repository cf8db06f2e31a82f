// The shelf: runs that can go on and models that can write, each kept under an id of its own, so that no tab and no
// later run ever replaces another's.

import { type Config, resolveConfig } from "../src/config.ts";
import { UserError } from "../src/errors.ts";
import { type HistoryState, isHistory } from "./history.ts";
import type { Store } from "./store.ts";

/** Finished models that are kept; of more, the oldest go. */
const MAX_MODELS = 8;

/** What is known of a kept run or model without reading it. */
export interface Kept {
  id: string;
  kind: "run" | "model";
  /** When it was kept, in ms since 1970. */
  when: number;
  /** Of the text that it was trained on, or the file that it came from. */
  name: string;
  config: Config;
  step: number;
  vocab_size: number;
  num_params: number;
  history: HistoryState;
}

export class Shelf {
  /** Newest first. */
  items: Kept[] = [];
  private readonly store: Store;

  constructor(store: Store) {
    this.store = store;
  }

  /** Reads what is there anew; what is damaged is dropped. @returns how many were */
  async refresh(): Promise<number> {
    const entries = await this.store.all("items");
    const good = entries.filter(([id, value]) => isKept(id, value));
    for (const [id] of entries) if (!good.some(([key]) => key === id)) await this.remove(id);
    this.items = good.map(([, value]) => value as Kept).sort((a, b) => b.when - a.when);
    return entries.length - good.length;
  }

  /**
   * Keeps a run as it is, in the place of what it was before.
   * @param text what it is trained on; null where that is kept already
   * @throws StoreError, and then what was kept before still is
   */
  async keepRun(run: Omit<Kept, "kind" | "when">, state: Blob, text: Blob | null): Promise<void> {
    const { id } = run;
    await this.store.write([
      { table: "items", key: id, value: { ...run, kind: "run", when: Date.now() } satisfies Kept },
      { table: "data", key: weights(id), value: state },
      ...(text ? [{ table: "data", key: words(id), value: text } as const] : []),
    ]);
    await this.refresh();
  }

  /** Keeps a model, in the place of the run that made it. @throws StoreError, as keepRun() */
  async keepModel(model: Omit<Kept, "kind" | "when">, file: Blob): Promise<void> {
    const { id } = model;
    const value: Kept = { ...model, kind: "model", when: Date.now() };
    await this.store.write([
      { table: "items", key: id, value },
      { table: "data", key: weights(id), value: file },
      { table: "data", key: words(id) },
    ]);
    await this.refresh();
    const models = this.items.filter(({ kind }) => kind === "model");
    for (const { id: old } of models.slice(MAX_MODELS)) await this.remove(old);
  }

  /** model.safetensors of a model, training.safetensors of a run. @throws UserError where it is damaged */
  weights(id: string): Promise<Blob> {
    return this.blob(weights(id));
  }

  /** The text of a run. @throws UserError where it is damaged */
  async text(id: string): Promise<string> {
    const blob = await this.blob(words(id));
    return blob.text().catch(damaged);
  }

  async remove(id: string): Promise<void> {
    await this.store.write([
      { table: "items", key: id },
      { table: "data", key: weights(id) },
      { table: "data", key: words(id) },
    ]);
    this.items = this.items.filter((item) => item.id !== id);
  }

  private async blob(key: string): Promise<Blob> {
    const blob = await this.store.get("data", key);
    return blob instanceof Blob ? blob : damaged();
  }
}

const weights = (id: string) => `${id} weights`;
const words = (id: string) => `${id} text`;

function damaged(): never {
  throw new UserError("A part of it is no longer there.");
}

/** What another version of the page wrote may be anything. */
function isKept(id: string, value: unknown): value is Kept {
  const item = value as Partial<Kept> | null;
  const counts = [item?.when, item?.step, item?.vocab_size, item?.num_params];
  if (
    item?.id !== id ||
    (item.kind !== "run" && item.kind !== "model") ||
    typeof item.name !== "string" ||
    !counts.every((count) => Number.isSafeInteger(count)) ||
    !isHistory(item.history)
  ) {
    return false;
  }
  try {
    resolveConfig("microgpt", item.config);
    return true;
  } catch {
    return false;
  }
}

/** Gives a run back to all tabs; it is done when others can have it. */
export type Release = () => Promise<void>;

/** Holds a run for this tab for as long as it lives or until it is released; null where another tab has it. */
export function hold(id: string): Promise<Release | null> {
  const { locks } = navigator as { locks?: LockManager };
  // Over plain http there are none, but there no run is kept either.
  if (!locks) return Promise.resolve(async () => {});
  return new Promise((resolve) => {
    const done = locks.request(lock(id), { ifAvailable: true }, (held) => {
      if (held === null) return resolve(null);
      return new Promise<void>((free) => {
        resolve(() => {
          free();
          return done;
        });
      });
    });
  });
}

/** The ids that are held by any tab. */
export async function held(): Promise<Set<string>> {
  const { locks } = navigator as { locks?: LockManager };
  const names = (await locks?.query())?.held?.map(({ name }) => name ?? "") ?? [];
  return new Set(
    names.filter((name) => name.startsWith(lock(""))).map((name) => name.slice(lock("").length)),
  );
}

const lock = (id: string) => `microgpt-webgpu run ${id}`;
