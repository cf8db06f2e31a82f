// What `train` prints: JSON lines for programs, or a header, progress and samples for people.

import { isChat, isStream } from "../src/choices.ts";
import type { PieceEvent, SampleEvent } from "../src/generation/generate.ts";
import { commandLine } from "../src/platform/invocation.ts";
import type {
  EvalEvent,
  LookEvent,
  SaveEvent,
  StartEvent,
  StepEvent,
  StopEvent,
} from "../src/training/train.ts";
import type { TuningSummary } from "../src/tuning/tune.ts";
import { duration } from "../src/duration.ts";
import type { Found } from "./files.ts";
import { pathWord } from "./format.ts";
import { count, plural } from "../src/count.ts";
import { NOTHING, Progress } from "./progress.ts";
import type { Output } from "./run.ts";
import { printable, SamplePrinter } from "./samples.ts";
import { textRows } from "./text_rows.ts";

export interface EndEvent {
  type: "end";
  /** Steps done, those before the run was resumed included. */
  steps: number;
  /** Time that those of now took, and the validations between them, without what came before and after. */
  seconds: number;
  tokens_per_s: number;
  /** Of the last validation; null if there was none. */
  val_loss: number | null;
  bits_per_byte: number | null;
  /** The validation with the lowest loss, of those of before too; null if there was none. */
  best: { step: number; val_loss: number; bits_per_byte: number | null } | null;
  /** Where the model was saved; null if it was not, for want of a single step. */
  model_dir: string | null;
  /** There only with dtype f16: steps whose gradients were too large for a number, so that nothing was learnt. */
  skipped?: number;
  /** There only if the run ended before its last step by itself. */
  stopped?: StopEvent["reason"];
  /** There only if a signal ended the run before its last step or sample. */
  interrupted?: true;
}

export interface TrainReport {
  start(event: StartEvent): void;
  step(event: StepEvent): void;
  evaluation(event: EvalEvent): void;
  /** A text between two steps. */
  look(event: LookEvent): void;
  /** The run ends before its last step. */
  stop(event: StopEvent): void;
  /** A checkpoint was saved in the folder, and the run goes on. */
  checkpoint(folder: string, event: SaveEvent): void;
  /** No further step comes, be it because all are done, of a signal or of an error. */
  endSteps(): void;
  saved(folder: string, step: number): void;
  sample(event: PieceEvent | SampleEvent): void;
  /** No further sample comes, be it because all are written, of a signal or of an error. */
  endSamples(): void;
  end(event: EndEvent): void;
}

/** One JSON object a line, floats in full. */
export function jsonReport(out: Output, log_every: number): TrainReport {
  const print = (event: object) => out.write(`${JSON.stringify(event)}\n`);
  let unprinted: StepEvent | undefined;
  return {
    start: print,
    step(event) {
      unprinted = event;
      if (event.step % log_every === 0) this.endSteps();
    },
    evaluation(event) {
      this.endSteps();
      print(event);
    },
    look(event) {
      this.endSteps();
      print(event);
    },
    stop(event) {
      this.endSteps();
      print(event);
    },
    checkpoint(model_dir, event) {
      if (event.due === "validation") this.endSteps();
      print({ ...event, model_dir });
    },
    endSteps() {
      if (unprinted !== undefined) print(unprinted);
      unprinted = undefined;
    },
    saved() {},
    sample(event) {
      if (event.type === "sample") print(event);
    },
    endSamples() {},
    end: print,
  };
}

/**
 * @param found where the text came from, and how it begins
 * @param before what was done before the run was resumed
 */
export function humanReport(out: Output, found: Found, before = NOTHING): TrainReport {
  const samples = new SamplePrinter(out);
  let progress: Progress | undefined;
  let num_steps = 0;
  let several = false; // validations
  let talks = false; // it is a model of conversations
  let savedStep = -1; // the last one that was told
  return {
    start(event) {
      const { log_every } = event.config;
      ({ num_steps } = event.config);
      several = event.config.eval_every > 0;
      talks = isChat(event.config.format);
      out.write(header(event, found));
      progress = new Progress(out, num_steps, log_every, before);
    },
    step(event) {
      progress!.step(event);
    },
    evaluation({ step, val_loss, bits_per_byte, best }) {
      const bits = bits_per_byte === null ? "" : `  ${bits_per_byte.toFixed(4)} bits/byte`;
      progress!.note(
        `step ${step}  val loss ${val_loss.toFixed(4)}${bits}${several && best ? "  best" : ""}`,
      );
    },
    look({ step, index, text }) {
      const shown = out.isTTY ? printable(text) : text;
      progress!.note(`step ${step}  sample ${index}: ${shown}`);
    },
    stop({ step, message }) {
      progress!.note(`stopped after step ${count(step)}: ${message}`);
    },
    checkpoint(folder, { step, due }) {
      if (due === "time") return; // every minute would be a line too often
      savedStep = step;
      progress!.note(savedLine(folder, step));
    },
    endSteps() {
      progress!.end();
    },
    saved(folder, step) {
      if (step === savedStep) return;
      out.write(`${savedLine(folder, step)}\n`);
    },
    sample(event) {
      samples.print(event);
    },
    endSamples() {
      samples.end();
    },
    end({ steps, seconds, tokens_per_s, model_dir, skipped, best, stopped, interrupted }) {
      const speed = `${duration(seconds)}, ${count(Math.round(tokens_per_s))} tokens/s`;
      const done = plural(steps - before.step, "step");
      out.write(`${interrupted ? "stopped" : "done"}: ${done} in ${speed}\n`);
      if (skipped) out.write(`${plural(skipped, "step")} skipped: gradients too large for f16.\n`);
      if (model_dir === null) out.write("Nothing was saved: there was no step to save.\n");
      else
        out.write(`More samples: ${commandLine("generate", "--model-dir", pathWord(model_dir))}\n`);
      if (model_dir !== null && talks) {
        out.write(`To talk with it: ${commandLine("chat", "--model-dir", pathWord(model_dir))}\n`);
      }
      if (model_dir !== null && several && best !== null && best.step < steps) {
        const words = ["--model-dir", pathWord(model_dir), "--best"] as const;
        out.write(`Of the best, step ${count(best.step)}: ${commandLine("generate", ...words)}\n`);
      }
      if (model_dir !== null && steps < num_steps && stopped === undefined) {
        out.write(
          `To go on: ${commandLine("train", "--output", pathWord(model_dir), "--resume")}\n`,
        );
      }
    },
  };
}

function savedLine(folder: string, step: number): string {
  return `saved   step ${count(step)} in ${folder}`;
}

function header(event: StartEvent, { source, first }: Found): string {
  const { vocab_size, num_params, num_trained, kernels, dtype_reason, batch_reason } = event;
  const { n_layer, n_embd, n_head, block_size, batch_size, grad_accumulation } = event.config;
  const sizes = [
    plural(n_layer, "layer"),
    plural(n_embd, "channel"),
    plural(n_head, "head"),
    `context ${count(block_size)}`,
    `batch ${grad_accumulation > 1 ? `${count(grad_accumulation)} × ` : ""}${count(batch_size)}`,
  ];
  return [
    deviceLine(event),
    `data    ${source}: ${dataLine(event)}; ${count(vocab_size)} tokens in the vocabulary`,
    ...textRows(event, first).map(([label, row]) => `${label.padEnd(8)}${row}`),
    `model   ${plural(num_params, "parameter")}: ${sizes.join(", ")}`,
    ...(num_trained === num_params
      ? []
      : [
          `trained ${plural(num_trained, "parameter")}: adapters of rank ${event.config.lora_rank}, all else is frozen`,
        ]),
    ...(dtype_reason === null ? [] : [`dtype   ${dtype_reason}`]),
    ...(batch_reason === null ? [] : [`batch   ${batch_reason}`]),
    ...(kernels && kernels.measured + kernels.remembered > 0
      ? [`kernels ${kernelsLine(kernels)}`]
      : []),
    ...(kernels?.matrix_fault ? [`note    ${kernels.matrix_fault}`] : []),
    ...(event.resumed_from === null ? [] : [`resumed after ${plural(event.resumed_from, "step")}`]),
    ...event.notes.map((note) => `note    ${note}`),
    ...event.differences.map((difference) => `note    ${difference}`),
    ``,
  ].join("\n");
}

/** Which device it is, and why where `auto` chose. */
export function deviceLine({
  device,
  adapter,
  fallback,
  device_reason,
}: Pick<StartEvent, "device" | "adapter" | "fallback" | "device_reason">): string {
  const why = fallback ?? device_reason;
  const name = device === "webgpu" ? `WebGPU: ${adapter}` : "CPU, in float64";
  return `device  ${name}${why === null ? "" : ` (auto: ${why})`}`;
}

function dataLine(event: StartEvent): string {
  const { num_docs, num_val_docs, num_tokens, num_val_tokens, num_truncated, config } = event;
  const held = (n: number) => (n === 0 ? "" : `, ${count(n)} of them held out`);
  if (isStream(config.format)) {
    return `one text of ${plural(num_tokens, "token")}${held(num_val_tokens)}`;
  }
  const cut =
    num_truncated === 0
      ? `none longer than the context`
      : `${count(num_truncated)} longer than the context of ${plural(config.block_size, "token")}, and cut`;
  return `${plural(num_docs, "document")}${held(num_val_docs)}, ${cut}`;
}

function kernelsLine({ measured, remembered, id, forgotten }: TuningSummary): string {
  const shapes = `${plural(measured + remembered, "shape")} of products`;
  if (measured === 0) return `choice ${id} for ${shapes}, as measured before`;
  const kept = forgotten === null ? "" : `, but could not be remembered (${forgotten})`;
  const before = remembered === 0 ? "" : `, ${count(remembered)} as before`;
  return (
    `choice ${id} for ${shapes}: ${count(measured)} measured just now${before}${kept}; runs before this ` +
    `choice may differ in the last digits`
  );
}
