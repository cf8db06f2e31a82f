// What a training run tells as it goes, as plain objects.

import type { Config } from "../config.ts";
import type { DeviceWork, Told } from "../device/prepare.ts";
import type { TextFacts } from "../text/facts.ts";
import type { TuningSummary } from "../tuning/tune.ts";
import type { StepRecord } from "./trainer.ts";

/**
 * Of the text count: characters whose words are counted; learn: tokens; tokenize: characters; shuffle: documents;
 * fingerprint: tokens.
 */
type TextWork = "count" | "learn" | "tokenize" | "shuffle" | "fingerprint";

/** What comes before a run's first step, while it is done. */
export type PrepareEvent = Told<DeviceWork | TextWork>;

/** What a run is about to do, and where. */
export interface StartEvent extends TextFacts {
  type: "start";
  device: "webgpu" | "cpu";
  /** The GPU's name; null on the CPU. */
  adapter: string | null;
  /** Why `auto` took the CPU; null where it did not. */
  fallback: string | null;
  /** What `auto` weighed where there was the CPU or a GPU in software to take; null where there was no choice. */
  device_reason: string | null;
  /** Documents, those that are held out included; 1 where the text is one stream. */
  num_docs: number;
  num_val_docs: number;
  /** Tokens that one pass over the text trains on, those that are held out included. */
  num_tokens: number;
  num_val_tokens: number;
  num_params: number;
  /** Of them those that are trained: all, or the adapters. */
  num_trained: number;
  /** How the kernels of the products were chosen; null where there was nothing to choose. */
  kernels: TuningSummary | null;
  /** Which dtype `auto` is here, and why: "f32: …"; null where the dtype was asked for. */
  dtype_reason: string | null;
  /** Which batch_size `auto` is here, and why: "16: …"; null where it was asked for. */
  batch_reason: string | null;
  /** Steps that were done before, in another run; null where this one is new. */
  resumed_from: number | null;
  /** What is to be known about text and settings, a sentence each. */
  notes: string[];
  /** Why it may not go on as it would have in one piece, a sentence each; none where it does, bit for bit. */
  differences: string[];
  config: Config;
}

export interface StepEvent extends StepRecord {
  type: "step";
}

/** A validation, which trains nothing. */
export interface EvalEvent {
  type: "eval";
  /** Steps that were done before it. */
  step: number;
  /** Mean over the positions of the held-out part, or of a part of it that is always the same. */
  val_loss: number;
  /** The same loss in bits, for each UTF-8 byte of the text that those positions stand for; null where they have none. */
  bits_per_byte: number | null;
  /** Whether no validation before it found so low a loss. */
  best: boolean;
}

/** The end of a run before its last step. */
export interface StopEvent {
  type: "stop";
  /** Steps that were done before it. */
  step: number;
  reason: "patience";
  /** Why, as a sentence. */
  message: string;
}

/** A text from the model as it is by then, between two steps. */
export interface LookEvent {
  type: "look";
  /** Steps that were done before it. */
  step: number;
  /** From 1. */
  index: number;
  text: string;
}

/** The moment to save a checkpoint, between two steps. */
export interface SaveEvent {
  type: "save";
  /** Steps that were done before it. */
  step: number;
  /** Why now: save_every, save_seconds, or that the last validation comes next, in which the run may be ended. */
  due: "steps" | "time" | "validation";
}

/** What a run gives between its start and its end. */
export type RunEvent = StepEvent | EvalEvent | LookEvent | SaveEvent | StopEvent;
