// Writes the state of the run into the page.

import { isStream } from "../src/choices.ts";
import { LossChart } from "./chart.ts";
import { count, plural } from "../src/count.ts";
import type { DeviceChoice } from "../src/device/choose.ts";
import { byId, write } from "./dom.ts";
import { formatLoss, formatNumber, formatSeconds } from "./format.ts";
import { createTokens, excerpts } from "./excerpts.ts";
import { createRow, createText, LookList } from "./looks.ts";
import { describe } from "./models.ts";
import type { StartEvent } from "../src/training/train.ts";
import type { Phase, Run } from "./run.ts";
import type { Kept } from "./shelf.ts";

/** What the page shows of a run that has not begun. */
export interface Preparation {
  num_steps: number;
  /** Null where there is no text. */
  vocab_size: number | null;
  device: DeviceChoice;
  /** Why there is no WebGPU; null where there is. */
  noWebGpu: string | null;
}

const goLabels: Record<Phase, string> = {
  idle: "Start",
  opening: "Starting…",
  running: "Pause",
  paused: "Resume",
  done: "Train again",
  failed: "Start again",
  open: "Start",
};

export class View {
  private readonly chart = new LossChart(byId("chart"), byId("readout"));
  private readonly looks = new LookList(byId("looks"));
  private readonly reads = createRow("look reads", "the text");

  /** Of the text, and of the run in its tokens: those that were shown last. */
  private texts: readonly string[] = [];
  private tokens: Run["tokens"] = null;

  constructor() {
    byId("looks").append(this.reads);
  }

  /** Some of the documents, below what the model writes. */
  showDocuments(documents: readonly string[]): void {
    this.texts = excerpts(documents);
    this.showReads(this.texts.map((text) => createText(text)));
    this.reads.hidden = this.texts.length === 0;
  }

  /** The same ones in the tokens of the run, as long as it has other ones than characters. */
  private showTokens(tokens: Run["tokens"]): void {
    if (tokens === this.tokens) return;
    this.tokens = tokens;
    this.showReads(tokens?.map(createTokens) ?? this.texts.map((text) => createText(text)));
  }

  private showReads(rows: readonly HTMLElement[]): void {
    this.reads.lastElementChild!.replaceChildren(...rows);
  }

  /**
   * @param offered a kept run to go on with
   * @param note what is not kept, and why
   */
  show(run: Run, next: Preparation, offered: Kept | null, note: string): void {
    const { phase, start, step, history, config, active } = run;
    const num_steps = config?.num_steps ?? next.num_steps;
    const started = !Number.isNaN(history.mean);

    const go = byId<HTMLButtonElement>("go");
    if (go.textContent !== goLabels[phase]) go.textContent = goLabels[phase];
    // Not `disabled`: the button would lose the keyboard's focus.
    go.setAttribute("aria-disabled", String(phase === "opening"));
    byId<HTMLButtonElement>("reset").disabled = phase === "idle";
    byId<HTMLFieldSetElement>("setup-fields").disabled = active;
    byId("download").hidden = byId("export-open").hidden = run.model === null;
    byId<HTMLProgressElement>("progress").value = Math.min(1, step / num_steps);
    document.body.dataset.phase = phase;
    document.title = active
      ? `${Math.floor((100 * step) / num_steps)} % · microgpt-webgpu`
      : "microgpt-webgpu";

    write("step", formatNumber(step));
    write("num-steps", `of ${formatNumber(num_steps)}`);
    write("loss", started ? formatLoss(history.mean) : "–");
    write("choices", choices(history.mean));
    const held = start?.config.val_fraction ?? config?.val_fraction ?? 0;
    const validating = held !== "auto" && held > 0;
    byId("validation").hidden = byId("key-validation").hidden = !validating;
    const { validation, bitsPerByte } = history;
    write("val-loss", Number.isNaN(validation) ? "–" : formatLoss(validation));
    write("val-bits", bitsPerByte === null ? "" : `${formatNumber(bitsPerByte, 2)} bits/byte`);
    const speed = run.speed();
    write("speed", speed ? formatNumber(speed.tokensPerSecond) : "–");
    write("time-left", phase === "done" ? "none" : speed ? formatSeconds(speed.secondsLeft) : "–");
    const onCpu = start ? start.device === "cpu" : next.device === "cpu" || next.noWebGpu !== null;
    byId("on-gpu").hidden = onCpu;
    byId("on-cpu").hidden = !onCpu;
    const fallback = fallbackLine(run);
    byId("no-webgpu").hidden = !next.noWebGpu && !fallback;
    write("no-webgpu-why", next.noWebGpu ?? "");
    write("fallback", fallback);
    byId("offer").hidden = offered === null;
    write("offer-text", offered ? `A run on ${offered.name} is kept: ${describe(offered)}.` : "");
    write("note", [run.stopped, note].filter(Boolean).join(" "));
    write("alert", run.error?.message ?? "");
    write("device", deviceLine(run));
    write("status", statusLine(run));
    this.chart.show(history, num_steps, run.vocab_size ?? next.vocab_size);
    write("samples-hint", samplesHint(run));
    this.looks.show(run.looks, run.documents);
    this.showTokens(run.tokens);
    this.showWriting(run);
  }

  private showWriting({ writes, unwritten, notes }: Run): void {
    const temperature = byId<HTMLInputElement>("setting-temperature").value;
    write("temperature", formatNumber(Number(temperature), 2));
    byId<HTMLButtonElement>("write").disabled = !writes;
    byId("prompt").toggleAttribute("aria-invalid", unwritten !== "");
    write("prompt-error", unwritten);
    write("prompt-note", notes.join(" "));
  }
}

/** The number of characters among which guessing evenly has this loss. */
function choices(loss: number): string {
  return loss < 20 ? `≈ ${formatNumber(Math.exp(loss), 1)} choices` : "";
}

function fallbackLine({ start, fallback }: Run): string {
  if (start?.fallback) return `This run is on the CPU: ${start.fallback}`;
  return fallback ? `The CPU writes the texts: ${fallback}` : "";
}

const doing: Record<NonNullable<Run["prepare"]>["what"], string> = {
  compile: "Compiling",
  measure: "Measuring kernels,",
  count: "Counting words, character",
  learn: "Learning tokens,",
  tokenize: "Tokenizing, character",
  shuffle: "Shuffling, document",
  fingerprint: "Taking the text's fingerprint, token",
};

function deviceLine({ start, phase, prepare }: Run): string {
  if (prepare !== null && prepare.done < prepare.total) {
    return `${doing[prepare.what]} ${count(prepare.done)} of ${count(prepare.total)}…`;
  }
  if (phase === "opening") return "Readying the device…";
  if (!start) return "";
  const device = start.device === "cpu" ? "CPU, 64-bit reference" : `WebGPU, ${start.adapter}`;
  const reason = start.device_reason === null ? "" : ` (auto: ${start.device_reason})`;
  const dtype = start.dtype_reason === null ? "" : ` · dtype ${start.dtype_reason}`;
  const batch = start.batch_reason === null ? "" : ` · batch ${start.batch_reason}`;
  const differences = start.differences.map((sentence) => ` · ${sentence}`).join("");
  const tokens = tokensOf(start);
  return `${device}${reason} · ${plural(start.num_params, "parameter")}${tokens}${dtype}${batch}${differences}`;
}

/** Of characters there is nothing to tell, unless they were chosen. */
function tokensOf({ tokenizer, tokenizer_reason, vocab_size, ...facts }: StartEvent): string {
  if (tokenizer === "char" && tokenizer_reason === null) return "";
  const each = formatNumber(facts.num_chars / facts.num_text_tokens, 2);
  const chosen = tokenizer_reason === null ? tokenizer : `${tokenizer}, auto: ${tokenizer_reason}`;
  return ` · ${plural(vocab_size, "token")} (${chosen}), ${each} characters each`;
}

/** For screen readers: a sentence at each turn of the run and at each quarter of the steps. */
function statusLine({ phase, step, config, history, text }: Run): string {
  const loss = `loss ${formatLoss(history.mean)}`;
  if (phase === "paused") return `Paused at step ${step}.`;
  if (phase === "done") return `Trained: ${plural(step, "step")}, ${loss}.`;
  if (phase === "open") return `${text.name} is open, a model of ${plural(step, "step")}.`;
  if (phase !== "running") return "";
  const quarter = Math.floor((4 * step) / config!.num_steps);
  return quarter === 0 ? "Training." : `Training: ${25 * quarter} percent of the steps are done.`;
}

function samplesHint({ phase, looks, start, step, text }: Run): string {
  if (phase === "open") {
    return `${text.name}, trained ${plural(step, "step")}, is open: set a temperature, and let it write.`;
  }
  if (looks.length === 0) {
    return phase === "idle"
      ? "Noise at first; after some hundred steps it begins to sound right."
      : "";
  }
  const notes = start?.notes.map((note) => ` ${note}`).join("") ?? "";
  const dotted =
    start && isStream(start.config.format) ? "" : ` Dotted: stands in the training text.`;
  return `Five new ones now and then.${dotted}${notes}`;
}
