// One model as the page sees it, in training or ready to write: a worker, and the state that its reports add up to.

import { isStream } from "../src/choices.ts";
import type { Config, ConfigChoice } from "../src/config.ts";
import type { DeviceChoice } from "../src/device/choose.ts";
import type { PrepareEvent, StartEvent } from "../src/training/train.ts";
import { type HistoryState, LossHistory } from "./history.ts";
import type { Report, Request, SampleReport, WriteRequest, WrittenReport } from "./protocol.ts";
import type { Kept } from "./shelf.ts";

export type Phase = "idle" | "opening" | "running" | "paused" | "done" | "failed" | "open";

/** Texts written after the same step, or on the same request. */
export interface Look {
  step: number;
  final: boolean;
  texts: string[];
  asked: WriteRequest | null;
}

/** What a run is trained on. */
export interface RunText {
  name: string;
  documents: string[];
}

/** What is known of a model before anything is read. */
export type ModelInfo = Pick<
  Kept,
  "id" | "name" | "config" | "step" | "vocab_size" | "num_params" | "history"
>;

/** A file that a run gave out, and what is known of it. */
type RunFile = (info: ModelInfo, file: Blob) => void;

export interface Listener {
  /** After every change of the state. */
  changed(): void;
  /** A run was saved, to go on from here. */
  saved: RunFile;
  /** A model has done all its steps. */
  trained: RunFile;
}

/** Texts of a request at most. */
const MOST_TEXTS = 5;
/** Looks that are kept; older ones are forgotten. */
const MAX_LOOKS = 40;
/** The speed is that of about the last two seconds of training. */
const SPEED_WINDOW_MS = 2000;

export class Run {
  phase: Phase = "idle";
  id = "";
  config: ConfigChoice | null = null;
  text: RunText = { name: "", documents: [] };
  documents: ReadonlySet<string> = new Set();
  /** Excerpts of the text in tokens; null where they are characters. */
  tokens: string[][] | null = null;
  /** How far the device is readied; null where that is not known or over. */
  prepare: PrepareEvent | null = null;
  /** Null until the device is ready. */
  start: StartEvent | null = null;
  step = 0;
  vocab_size: number | null = null;
  history = new LossHistory(1);
  looks: Look[] = [];
  /** model.safetensors, once there is one. */
  model: Blob | null = null;
  error: { message: string; setting: string | null; damaged: boolean } | null = null;
  /** Why the last request was not written, and what is to be known about it. */
  unwritten = "";
  notes: string[] = [];
  /** Why the run ended before its last step. */
  stopped = "";
  /** Why the last save failed. */
  unsaved = "";
  /** Why the CPU writes. */
  fallback: string | null = null;

  private worker: Worker | undefined;
  private marks: { train_ms: number; step: number; tokens: number }[] = [];
  private requests = 0;
  private readonly listener: Listener;

  constructor(listener: Listener) {
    this.listener = listener;
  }

  /** Trains a new model, or goes on with a kept run. */
  begin(
    id: string,
    config: ConfigChoice,
    text: RunText,
    device: DeviceChoice,
    before: { info: Kept; state: Blob } | null = null,
  ): void {
    this.reset();
    this.phase = "opening";
    this.id = id;
    this.config = config;
    this.text = text;
    this.documents = new Set(text.documents);
    this.step = before?.info.step ?? 0;
    this.history = before
      ? LossHistory.from(before.info.history)
      : new LossHistory(config.num_steps / 20);
    const { temperature } = config;
    const { documents } = text;
    const resume = before?.state ?? null;
    this.employ();
    this.send({ type: "start", config, documents, device, temperature, resume });
    this.listener.changed();
  }

  /** Takes a trained model, to write with it; the worker comes with the first text. */
  open(info: ModelInfo, model: Blob): void {
    this.reset();
    this.phase = "open";
    this.id = info.id;
    this.text = { name: info.name, documents: [] };
    this.config = info.config;
    this.step = info.step;
    this.vocab_size = info.vocab_size;
    this.history = LossHistory.from(info.history);
    this.model = model;
    this.listener.changed();
  }

  pause(): void {
    this.phase = "paused";
    this.send({ type: "pause" });
    this.listener.changed();
  }

  resume(): void {
    this.phase = "running";
    this.send({ type: "resume" });
    this.listener.changed();
  }

  /** Asks for the run as it is, to be kept; a model is kept by itself. */
  save(): void {
    if (this.active && this.model === null) this.send({ type: "save" });
  }

  /** Whether there is a model to write with. */
  get writes(): boolean {
    return ["running", "paused", "done", "open"].includes(this.phase);
  }

  get active(): boolean {
    return ["opening", "running", "paused"].includes(this.phase);
  }

  /** Writes texts; in the place of the newest ones, by the same random numbers, where those were asked for too. */
  write(
    request: Pick<WriteRequest, "prompt" | "temperature">,
    device: DeviceChoice,
    again: boolean,
  ) {
    if (this.phase === "open" && !this.worker) {
      this.employ();
      this.send({ type: "open", model: this.model!, name: this.text.name, device });
    }
    const newest = this.looks[0];
    const replaced = again && newest?.asked?.prompt === request.prompt ? newest.asked : null;
    const id = ++this.requests;
    const format = this.config?.format ?? "auto";
    const stream = format !== "auto" && isStream(format);
    // At temperature 0 all texts are the same; of a stream one is as long as many documents.
    const num_samples = request.temperature === 0 || stream ? 1 : MOST_TEXTS;
    const asked = {
      type: "write",
      id,
      ...request,
      num_samples,
      seed: replaced?.seed ?? id * MOST_TEXTS, // and those behind it, one for each text
    } as const;
    const look = { step: this.step, final: false, texts: [], asked };
    if (replaced) this.looks = this.looks.slice(1);
    this.looks = [look, ...this.looks].slice(0, MAX_LOOKS);
    this.unwritten = "";
    this.notes = [];
    this.send(asked);
    this.listener.changed();
  }

  /** The temperature of what the run writes in between, from now on. */
  setTemperature(temperature: number): void {
    if (this.active) this.send({ type: "temperature", temperature });
  }

  /** Ends the worker, whatever it is doing, and forgets the run. */
  reset(): void {
    this.worker?.terminate();
    const { listener, requests } = this;
    Object.assign(this, new Run(listener), { requests, worker: undefined });
    listener.changed();
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

  private employ(): void {
    this.worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }: MessageEvent<Report>) => this.take(data);
    this.worker.onerror = ({ message }) =>
      this.fail(`The worker has stopped: ${message || "its script did not load"}.`);
  }

  private send(request: Request): void {
    this.worker!.postMessage(request);
  }

  private take(report: Report): void {
    if (report.type === "prepare") {
      this.prepare = report;
    } else if (report.type === "start") {
      this.start = report;
      this.vocab_size = report.vocab_size;
      this.prepare = null;
      this.step = report.resumed_from ?? 0;
      this.phase = "running";
    } else if (report.type === "tokens") {
      this.tokens = report.texts;
    } else if (report.type === "steps") {
      const [first] = report.steps;
      if (this.marks.length === 0) this.marks.push({ train_ms: 0, ...first });
      for (const { step, loss } of report.steps) this.history.push(step, loss);
      const { step, tokens } = report.steps.at(-1)!;
      this.step = step;
      this.marks.push({ train_ms: report.train_ms, step, tokens });
      while (this.marks.length > 2 && this.marks[1].train_ms < report.train_ms - SPEED_WINDOW_MS)
        this.marks.shift();
    } else if (report.type === "eval") {
      this.history.validate(report.step, report.val_loss, report.bits_per_byte);
    } else if (report.type === "stop") {
      this.stopped = `Stopped early: ${report.message}`;
    } else if (report.type === "sample") {
      this.takeSample(report);
    } else if (report.type === "written") {
      this.takeWritten(report);
    } else if (report.type === "unwritten") {
      this.unwritten = report.message;
      this.looks = this.looks.filter(({ asked, texts }) => asked === null || texts.length > 0);
    } else if (report.type === "saved") {
      this.unsaved = "";
      this.listener.saved(this.info(report), report.file);
    } else if (report.type === "unsaved") {
      this.unsaved = report.message;
    } else if (report.type === "trained") {
      this.model = report.file;
      this.listener.trained(this.info(report), report.file);
    } else if (report.type === "done") {
      this.phase = "done";
    } else {
      this.fail(report.message, report.setting, report.damaged);
    }
    this.listener.changed();
  }

  private info({ step, config }: { step: number; config: Config }): ModelInfo {
    const { id, start } = this;
    const { vocab_size, num_params } = start!;
    const history: HistoryState = this.history.state();
    return { id, name: this.text.name, config, step, vocab_size, num_params, history };
  }

  private takeSample({ step, final, text }: SampleReport): void {
    const same = this.looks.find((look) => look.asked === null);
    if (same?.step === step && same.final === final) same.texts.push(text);
    else
      this.looks = [{ step, final, texts: [text], asked: null }, ...this.looks].slice(0, MAX_LOOKS);
  }

  private takeWritten({ id, step, texts, notes, fallback }: WrittenReport): void {
    const look = this.looks.find(({ asked }) => asked?.id === id);
    if (!look) return; // another took its place
    Object.assign(look, { step, texts });
    this.notes = notes;
    this.fallback = fallback;
  }

  private fail(message: string, setting: string | null = null, damaged = false): void {
    this.worker?.terminate();
    this.worker = undefined;
    this.phase = "failed";
    this.error = { message, setting, damaged };
    this.listener.changed();
  }
}
