// What the page and its worker say to each other: plain objects, checked by the compiler on both sides.

import type { Config, ConfigChoice } from "../src/config.ts";
import type { DeviceChoice } from "../src/device/choose.ts";
import type {
  EvalEvent,
  PrepareEvent,
  StartEvent,
  StepEvent,
  StopEvent,
} from "../src/training/train.ts";

/** Page to worker. One worker has one model, to train it or to write with it; a reset ends it. */
export type Request = StartRequest | OpenRequest | Wish;

export interface StartRequest {
  type: "start";
  config: ConfigChoice;
  documents: readonly string[];
  device: DeviceChoice;
  /** Of the texts in between; may be changed later. */
  temperature: number;
  /** The file of the run to go on with, with the settings and on the device that it has; null for a new run. */
  resume: Blob | null;
}

export interface OpenRequest {
  type: "open";
  /** model.safetensors */
  model: Blob;
  name: string;
  device: DeviceChoice;
}

/** What the worker sees to between two steps, or at once where it trains nothing. */
export type Wish =
  | { type: "pause" }
  | { type: "resume" }
  | { type: "save" }
  /** Of what is written from now on. */
  | { type: "temperature"; temperature: number }
  | WriteRequest;

/** Takes the place of one that is not done yet. */
export interface WriteRequest {
  type: "write";
  /** Of this request, for its answers. */
  id: number;
  prompt: string;
  temperature: number;
  num_samples: number;
  seed: number;
}

/** Worker to page. */
export type Report =
  | PrepareEvent
  | StartEvent
  /** Excerpts of the text, each in the texts of its tokens. */
  | { type: "tokens"; texts: string[][] }
  | StepsReport
  | EvalEvent
  | StopEvent
  | SampleReport
  | WrittenReport
  | SavedReport
  | TrainedReport
  | { type: "done" }
  | { type: "unsaved"; message: string }
  | { type: "unwritten"; message: string }
  | { type: "failed"; message: string; setting: string | null; damaged: boolean };

/** Every step since the last report, in order. */
interface StepsReport {
  type: "steps";
  steps: StepEvent[];
  /** Time spent in training since the first step: that one, pauses, validations and samples are not in it. */
  train_ms: number;
}

/** A text from the model as it is after `step` steps. */
export interface SampleReport {
  type: "sample";
  step: number;
  text: string;
  /** One of the run's own samples, after the last step. */
  final: boolean;
}

/** What was written so far on a request, the last text perhaps not to its end. */
export interface WrittenReport {
  type: "written";
  id: number;
  step: number;
  texts: string[];
  /** What is to be known about texts of such length. */
  notes: string[];
  /** Why the CPU writes; null where it was meant to, or does not. */
  fallback: string | null;
}

/** The run after `step` steps, as the file that it goes on from. */
interface SavedReport {
  type: "saved";
  step: number;
  config: Config;
  file: Blob;
}

/** The model of a run that has done all its steps, as the file that the command line reads. */
interface TrainedReport {
  type: "trained";
  step: number;
  config: Config;
  file: Blob;
}
