// The event files that `tensorboard --logdir` reads, in the output folder: every step and validation of a run. A run that
// goes on begins another file, which says from which step on it counts in the place of the one before.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Checkpoint } from "../src/files/checkpoint.ts";
import type { EvalEvent, StepEvent } from "../src/training/train.ts";
import { scalarsEvent, startEvent, versionEvent } from "./event_file.ts";
import { Journal } from "./journal.ts";

const NAME = /^events\.out\.tfevents\.(\d{10})\.microgpt$/;
/** Over which the speed is measured. */
const SPEED_MS = 1000;

/** The event files in a folder, in the order in which they are read. */
export function eventFilesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => NAME.test(name))
    .sort();
}

export class TensorBoard {
  private readonly journal: Journal;
  /** Since when, and since how many tokens, the speed is measured. */
  private mark: { at: number; tokens: number } | undefined;

  /**
   * @param before the run that goes on
   * @param warn told once that the file cannot be written
   */
  constructor(
    folder: string,
    before: Pick<Checkpoint, "step"> | undefined,
    warn: (text: string) => void,
  ) {
    const last = Number(NAME.exec(eventFilesIn(folder).at(-1) ?? "")?.[1] ?? 0);
    const seconds = Math.max(Math.floor(Date.now() / 1000), last + 1);
    const name = `events.out.tfevents.${String(seconds).padStart(10, "0")}.microgpt`;
    const head = [versionEvent(now()), ...(before ? [startEvent(now(), before.step + 1)] : [])];
    this.journal = new Journal(join(folder, name), warn, Buffer.concat(head));
  }

  add(event: StepEvent | EvalEvent): void {
    const { step } = event;
    if (event.type === "eval") {
      const { val_loss, bits_per_byte } = event;
      const scalars: Record<string, number> = { "val/loss": val_loss };
      if (bits_per_byte !== null) scalars["val/bits_per_byte"] = bits_per_byte;
      this.journal.add(scalarsEvent(now(), step, scalars));
      return;
    }
    const { loss, lr, grad_norm } = event;
    const scalars = { "train/loss": loss, "train/lr": lr, "train/grad_norm": grad_norm };
    this.journal.add(scalarsEvent(now(), step, { ...scalars, ...this.speed(event) }));
  }

  /** Tokens a second, once in a while. */
  private speed({ tokens }: StepEvent): Record<string, number> {
    const at = performance.now();
    this.mark ??= { at, tokens };
    const seconds = (at - this.mark.at) / 1000;
    if (1000 * seconds < SPEED_MS) return {};
    const tokens_per_s = (tokens - this.mark.tokens) / seconds;
    this.mark = { at, tokens };
    return { "train/tokens_per_s": tokens_per_s };
  }

  /** Writes what is not yet written. */
  write(): void {
    this.journal.write();
  }
}

/** Seconds since 1970. */
function now(): number {
  return Date.now() / 1000;
}
