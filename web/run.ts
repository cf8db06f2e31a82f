// One training run as the page sees it: a worker, and the state that its reports add up to.

import type { ConfigChoice } from "../src/config.ts";
import type { DeviceChoice } from "../src/device/choose.ts";
import type { StartEvent } from "../src/training/train.ts";
import { LossHistory } from "./history.ts";
import type { Report, Request, SampleReport } from "./protocol.ts";

export type Phase = "idle" | "opening" | "running" | "paused" | "done" | "failed";

/** Texts written after the same step. */
export interface Look {
  step: number;
  final: boolean;
  texts: string[];
}

/** Looks that are kept; older ones are forgotten. */
const MAX_LOOKS = 40;
/** The speed is that of about the last two seconds of training. */
const SPEED_WINDOW_MS = 2000;

export class Run {
  phase: Phase = "idle";
  config: ConfigChoice | null = null;
  documents: ReadonlySet<string> = new Set();
  /** Null until the device is ready. */
  start: StartEvent | null = null;
  step = 0;
  history = new LossHistory(1);
  looks: Look[] = [];
  error: { message: string; setting: string | null } | null = null;

  private worker: Worker | undefined;
  private marks: { train_ms: number; step: number; tokens: number }[] = [];
  private readonly changed: () => void;

  /** @param changed called after every change of the state */
  constructor(changed: () => void) {
    this.changed = changed;
  }

  begin(config: ConfigChoice, documents: readonly string[], device: DeviceChoice): void {
    this.reset();
    this.phase = "opening";
    this.config = config;
    this.documents = new Set(documents);
    this.history = new LossHistory(config.num_steps / 20);
    this.worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }: MessageEvent<Report>) => this.take(data);
    this.worker.onerror = ({ message }) =>
      this.fail(`The worker that trains has stopped: ${message || "its script did not load"}.`);
    this.send({ type: "start", config, documents, device });
    this.changed();
  }

  pause(): void {
    this.phase = "paused";
    this.send({ type: "pause" });
    this.changed();
  }

  resume(): void {
    this.phase = "running";
    this.send({ type: "resume" });
    this.changed();
  }

  /** Ends the worker, whatever it is doing, and forgets the run. */
  reset(): void {
    this.worker?.terminate();
    this.worker = undefined;
    this.phase = "idle";
    this.config = null;
    this.start = null;
    this.step = 0;
    this.history = new LossHistory(1);
    this.looks = [];
    this.error = null;
    this.marks = [];
    this.changed();
  }

  /** Tokens a second and seconds to the last step; null until enough is known. */
  speed(): { tokensPerSecond: number; secondsLeft: number } | null {
    const [first, last] = [this.marks[0], this.marks.at(-1)];
    if (!this.config || !first || !last || last.train_ms <= first.train_ms) return null;
    const seconds = (last.train_ms - first.train_ms) / 1000;
    return {
      tokensPerSecond: (last.tokens - first.tokens) / seconds,
      secondsLeft: ((this.config.num_steps - last.step) * seconds) / (last.step - first.step),
    };
  }

  private send(request: Request): void {
    this.worker!.postMessage(request);
  }

  private take(report: Report): void {
    if (report.type === "start") {
      this.start = report;
      this.phase = "running";
      this.marks.push({ train_ms: 0, step: 0, tokens: 0 });
    } else if (report.type === "steps") {
      for (const { step, loss } of report.steps) this.history.push(step, loss);
      const { step, tokens } = report.steps.at(-1)!;
      this.step = step;
      this.marks.push({ train_ms: report.train_ms, step, tokens });
      while (this.marks.length > 2 && this.marks[1].train_ms < report.train_ms - SPEED_WINDOW_MS)
        this.marks.shift();
    } else if (report.type === "eval") {
      this.history.validate(report.step, report.val_loss);
    } else if (report.type === "sample") {
      this.takeSample(report);
    } else if (report.type === "done") {
      this.phase = "done";
    } else {
      this.fail(report.message, report.setting);
    }
    this.changed();
  }

  private takeSample({ step, final, text }: SampleReport): void {
    const newest = this.looks[0];
    if (newest?.step === step && newest.final === final) newest.texts.push(text);
    else this.looks = [{ step, final, texts: [text] }, ...this.looks].slice(0, MAX_LOOKS);
  }

  private fail(message: string, setting: string | null = null): void {
    this.worker?.terminate();
    this.phase = "failed";
    this.error = { message, setting };
    this.changed();
  }
}
