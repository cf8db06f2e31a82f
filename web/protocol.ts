// What the page and its worker say to each other: plain objects, checked by the compiler on both sides.

import type { ConfigChoice } from "../src/config.ts";
import type { DeviceChoice } from "../src/device/choose.ts";
import type { EvalEvent, StartEvent, StepEvent } from "../src/training/train.ts";

/** Page to worker. One worker trains one run; a reset ends the worker and the run with it. */
export type Request =
  | { type: "start"; config: ConfigChoice; documents: readonly string[]; device: DeviceChoice }
  | { type: "pause" }
  | { type: "resume" };

/** Worker to page. */
export type Report =
  | StartEvent
  | StepsReport
  | EvalEvent
  | SampleReport
  | { type: "done" }
  | { type: "failed"; message: string; setting: string | null };

/** Every step since the last report, in order. */
interface StepsReport {
  type: "steps";
  steps: StepEvent[];
  /** Time spent in training since the run began: pauses, validations and samples are not in it. */
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
