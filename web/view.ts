// Writes the state of the run into the page.

import { isStream } from "../src/choices.ts";
import { LossChart } from "./chart.ts";
import { count, formatLoss, formatNumber, formatSeconds } from "./format.ts";
import type { Look, Phase, Run } from "./run.ts";

/** What the page shows of a run that has not begun. */
export interface Preparation {
  num_steps: number;
  vocab_size: number;
  /** Why there is no WebGPU; null where there is. */
  noWebGpu: string | null;
}

/** Documents of the training text that are shown. */
const MAX_READS = 18;

const goLabels: Record<Phase, string> = {
  idle: "Start",
  opening: "Starting…",
  running: "Pause",
  paused: "Resume",
  done: "Train again",
  failed: "Start again",
};

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** Writes only what changed: selections survive and screen readers stay calm. */
function write(id: string, text: string): void {
  const node = byId(id);
  if (node.textContent !== text) node.textContent = text;
}

export class View {
  private readonly chart = new LossChart(byId("chart"), byId("readout"));
  private readonly looks = new Map<Look, HTMLElement>();
  private readonly reads = createRow("look reads", "the text");

  constructor() {
    byId("looks").append(this.reads);
  }

  /** Some of the documents, below what the model writes. */
  showDocuments(documents: readonly string[]): void {
    const length = Math.min(documents.length, MAX_READS);
    const texts = Array.from({ length }, (_, i) =>
      createText(documents[Math.floor((i * documents.length) / length)].slice(0, 300), false),
    );
    this.reads.lastElementChild!.replaceChildren(...texts);
    this.reads.hidden = length === 0;
  }

  show(run: Run, next: Preparation): void {
    const { phase, start, step, history, config } = run;
    const active = phase === "opening" || phase === "running" || phase === "paused";
    const num_steps = config?.num_steps ?? next.num_steps;
    const started = !Number.isNaN(history.mean);

    const go = byId<HTMLButtonElement>("go");
    if (go.textContent !== goLabels[phase]) go.textContent = goLabels[phase];
    // Not `disabled`: the button would lose the keyboard's focus.
    go.setAttribute("aria-disabled", String(phase === "opening"));
    byId<HTMLButtonElement>("reset").disabled = phase === "idle";
    byId<HTMLFieldSetElement>("setup-fields").disabled = active;
    byId<HTMLProgressElement>("progress").value = step / num_steps;
    document.body.dataset.phase = phase;
    document.title = active
      ? `${Math.floor((100 * step) / num_steps)} % · microgpt-webgpu`
      : "microgpt-webgpu";

    write("step", formatNumber(step));
    write("num-steps", `of ${formatNumber(num_steps)}`);
    write("loss", started ? formatLoss(history.mean) : "–");
    write("choices", choices(history.mean));
    const validating = (config?.val_fraction ?? 0) > 0;
    byId("validation").hidden = byId("key-validation").hidden = !validating;
    const { validation } = history;
    write("val-loss", Number.isNaN(validation) ? "–" : formatLoss(validation));
    const speed = run.speed();
    write("speed", speed ? formatNumber(speed.tokensPerSecond) : "–");
    write("time-left", phase === "done" ? "none" : speed ? formatSeconds(speed.secondsLeft) : "–");
    byId("no-webgpu").hidden = !next.noWebGpu && !start?.fallback;
    write("no-webgpu-why", next.noWebGpu ?? "");
    write("fallback", start?.fallback ? `This run is on the CPU: ${start.fallback}` : "");
    write("alert", run.error?.message ?? "");
    write("device", deviceLine(run));
    write("status", statusLine(run));
    this.chart.show(history, num_steps, start?.vocab_size ?? next.vocab_size);
    this.showLooks(run);
  }

  private showLooks(run: Run): void {
    write("samples-hint", samplesHint(run));
    for (const [look, item] of this.looks) {
      if (run.looks.includes(look)) continue;
      item.remove();
      this.looks.delete(look);
    }
    for (const look of run.looks.toReversed()) {
      let item = this.looks.get(look);
      if (!item) {
        item = createLook(look);
        this.looks.set(look, item);
        byId("looks").prepend(item);
      }
      const texts = item.lastElementChild!;
      for (const text of look.texts.slice(texts.childElementCount))
        texts.append(createText(text, run.documents.has(text)));
    }
  }
}

function createLook({ step, final }: Look): HTMLElement {
  return createRow("look", final ? "trained" : `step ${formatNumber(step)}`);
}

function createRow(className: string, text: string): HTMLElement {
  const item = document.createElement("li");
  item.className = className;
  const label = document.createElement("span");
  label.className = "look-step";
  label.textContent = text;
  item.append(label, document.createElement("ul"));
  return item;
}

function createText(text: string, known: boolean): HTMLElement {
  const item = document.createElement("li");
  item.textContent = text || "(nothing)";
  if (!text) item.className = "nothing";
  if (text.includes("\n")) item.className = "passage";
  if (known) {
    item.className = "known";
    item.title = "stands in the training text";
  }
  return item;
}

/** The number of characters among which guessing evenly has this loss. */
function choices(loss: number): string {
  return loss < 20 ? `≈ ${formatNumber(Math.exp(loss), 1)} choices` : "";
}

function deviceLine({ start, phase }: Run): string {
  if (phase === "opening") return "Readying the device…";
  if (!start) return "";
  const device = start.device === "cpu" ? "CPU, 64-bit reference" : `WebGPU, ${start.adapter}`;
  const dtype = start.dtype_reason === null ? "" : ` · dtype ${start.dtype_reason}`;
  return `${device} · ${count(start.num_params, "parameter")}${dtype}`;
}

/** For screen readers: a sentence at each turn of the run and at each quarter of the steps. */
function statusLine({ phase, step, config, history }: Run): string {
  const loss = `loss ${formatLoss(history.mean)}`;
  if (phase === "paused") return `Paused at step ${step}.`;
  if (phase === "done") return `Trained: ${count(step, "step")}, ${loss}.`;
  if (phase !== "running") return "";
  const quarter = Math.floor((4 * step) / config!.num_steps);
  return quarter === 0 ? "Training." : `Training: ${25 * quarter} percent of the steps are done.`;
}

function samplesHint({ phase, config, looks, start }: Run): string {
  if (looks.length === 0) {
    return phase === "idle"
      ? "Noise at first; after some hundred steps it begins to sound right."
      : "";
  }
  const cut = start?.num_truncated
    ? ` ${count(start.num_truncated, "document")} longer than ${config!.block_size} tokens: only the beginning is used.`
    : "";
  const dotted =
    start && isStream(start.config.format) ? "" : ` Dotted: stands in the training text.`;
  return `Five new ones now and then, at temperature ${config!.temperature}.${dotted}${cut}`;
}
