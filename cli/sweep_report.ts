// What `sweep` prints: JSON lines for programs, or a header, progress and a table for people.

import type { Setting } from "../src/config/setting.ts";
import { commandLine } from "../src/platform/invocation.ts";
import type { SweepProgress, SweepStart } from "../src/training/sweep.ts";
import { rank, type SweepModel } from "../src/training/sweep_model.ts";
import { duration } from "../src/duration.ts";
import type { Found } from "./files.ts";
import { pathWord } from "./format.ts";
import { count, plural } from "../src/count.ts";
import { textRows } from "./text_rows.ts";
import type { Output } from "./run.ts";
import { deviceLine } from "./train_report.ts";

interface SweepEnd {
  type: "end";
  /** Models whose runs are over. */
  models: number;
  model_steps: number;
  /** Time that they took, without what came before and after. */
  seconds: number;
  model_steps_per_s: number;
  /** Place of the best model; null if there is none. */
  best: number | null;
  /** Where it was saved; null if it was not. */
  model_dir: string | null;
  /** There only if a signal ended the sweep before its last step. */
  interrupted?: true;
}

export interface SweepReport {
  start(event: SweepStart): void;
  progress(event: SweepProgress): void;
  model(event: SweepModel): void;
  end(event: SweepEnd): void;
}

/** The settings of a model that tell it from the others. */
function settingsOf({ config }: SweepModel, varied: readonly Setting[]) {
  return Object.fromEntries(varied.map(({ name }) => [name, config[name]]));
}

/** One JSON object a line; a loss that is not finite is null. */
export function jsonReport(out: Output, varied: readonly Setting[]): SweepReport {
  const print = (event: object) => out.write(`${JSON.stringify(event)}\n`);
  return {
    start: print,
    progress() {},
    model(event) {
      const { type, index, steps, final_loss, mean_loss, val_loss, bits_per_byte } = event;
      const settings = settingsOf(event, varied);
      print({ type, index, settings, steps, final_loss, mean_loss, val_loss, bits_per_byte });
    },
    end: print,
  };
}

/** Rows of the table at most. */
const ROWS = 40;
/** Time between two lines of progress on a terminal, and elsewhere, in ms. */
const UPDATE_MS = { terminal: 100, file: 5000 };
const ERASE_REST = "\x1b[K";

/** @param found where the text came from, and how it begins */
export function humanReport(out: Output, found: Found, varied: readonly Setting[]): SweepReport {
  const models: SweepModel[] = [];
  let begun: SweepStart | undefined;
  let startedAt = 0;
  let shownAt = 0;
  let unfinished = false; // a line that is written over
  return {
    start(event) {
      out.write(header(event, found, varied));
      begun = event;
      startedAt = performance.now();
      shownAt = startedAt;
    },
    progress({ model_steps }) {
      const now = performance.now();
      if (now - shownAt < UPDATE_MS[out.isTTY ? "terminal" : "file"]) return;
      shownAt = now;
      const all = begun!.model_steps;
      const perSecond = model_steps / ((now - startedAt) / 1000);
      const text = [
        `${count(models.length)}/${plural(begun!.num_models, "model")}`,
        `${count(model_steps)}/${count(all)} steps`,
        `${count(Math.round(perSecond))} model-steps/s`,
        `${duration((all - model_steps) / perSecond)} left`,
      ].join("  ");
      if (out.isTTY) out.write(`\r${text.slice(0, (out.columns || 80) - 1)}${ERASE_REST}`);
      else out.write(`${text}\n`);
      unfinished = out.isTTY === true;
    },
    model(event) {
      models.push(event);
    },
    end({ model_steps, seconds, model_steps_per_s, best, model_dir, interrupted }) {
      if (unfinished) out.write(`\r${ERASE_REST}`);
      out.write(table(models, varied));
      const speed = `${duration(seconds)}, ${count(Math.round(model_steps_per_s))} model-steps/s`;
      const done = `${plural(models.length, "model")}, ${plural(model_steps, "step")} in ${speed}`;
      out.write(`${interrupted ? "stopped" : "done"}: ${done}\n`);
      if (model_dir === null && best !== null) return; // why, an error tells
      if (model_dir === null && models.length > 0) {
        out.write(
          "Nothing was saved: every run diverged. Lower the learning rate or set a grad_clip, such as 1.\n",
        );
      } else if (model_dir === null) {
        out.write("Nothing was saved: there was no step to save.\n");
      } else {
        out.write(`saved   model ${best! + 1}, the best, in ${model_dir}\n`);
        out.write(`Samples: ${commandLine("generate", "--model-dir", pathWord(model_dir))}\n`);
      }
    },
  };
}

function header(event: SweepStart, { source, first }: Found, varied: readonly Setting[]): string {
  const { num_docs, num_tokens, vocab_size, num_models, num_small } = event;
  const alone = num_models - num_small;
  const ways = [
    num_small > 0 && `${count(num_small)} of them many at a time`,
    alone > 0 && `${count(alone)} one after the other`,
  ].filter(Boolean);
  const text =
    num_tokens === null
      ? plural(num_docs, "document")
      : `one text of ${plural(num_tokens, "token")}`;
  const what = varied.map(({ flag }) => flag).join(", ") || "nothing";
  return [
    deviceLine(event),
    `data    ${source}: ${text}; ${count(vocab_size)} tokens in the vocabulary`,
    ...textRows(event, first).map(([label, row]) => `${label.padEnd(8)}${row}`),
    `sweep   ${plural(num_models, "model")} that differ in ${what}; ${ways.join(", ")}`,
    ...event.dtype_reasons.map((reason) => `dtype   ${reason}`),
    ``,
  ].join("\n");
}

/** The models, the best first. */
function table(models: readonly SweepModel[], varied: readonly Setting[]): string {
  if (models.length === 0) return "";
  const place = (model: SweepModel) => (Number.isFinite(rank(model)) ? rank(model) : Infinity);
  const sorted = models.toSorted((a, b) => place(a) - place(b) || a.index - b.index);
  const loss = (value: number) => (Number.isFinite(value) ? value.toFixed(4) : "diverged");
  const some = (value: number | null) => (value === null ? "" : loss(value));
  const validated = models.some(({ val_loss }) => val_loss !== null);
  const short = models.some(({ steps, config }) => steps < config.num_steps);
  const rows = sorted
    .slice(0, ROWS)
    .map((event) => [
      String(event.index + 1),
      ...varied.map(({ name }) => String(event.config[name])),
      ...(short ? [String(event.steps)] : []),
      loss(event.mean_loss),
      loss(event.final_loss),
      ...(validated ? [event.val_loss, event.bits_per_byte].map(some) : []),
    ]);
  const titles = [
    "model",
    ...varied.map(({ flag }) => flag),
    ...(short ? ["steps done"] : []),
    "mean loss*",
    "final loss",
    ...(validated ? ["val loss", "bits/byte"] : []),
  ];
  const widths = titles.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i].length)),
  );
  const line = (cells: string[]) => cells.map((cell, i) => cell.padStart(widths[i])).join("  ");
  const rest = sorted.length - ROWS;
  return [
    line(titles),
    ...rows.map(line),
    ...(rest > 0 ? [`… and ${count(rest)} more; --json tells them all`] : []),
    `* of the last tenth of the steps`,
    ``,
  ].join("\n");
}
