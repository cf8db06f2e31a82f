// What small_train.wgsl reads, packed: documents, their orders, each model's settings, and the schedules.

import { type Relu, reluOf } from "../choices.ts";
import type { Config } from "../config.ts";
import { biasCorrections, scheduleFactor } from "../model/optimizer.ts";
import { countPositions, type Sequences, writeAt } from "../text/documents.ts";

/** One model to train. */
export interface SmallRun {
  config: Config;
  /** Flat, in the table's order without gaps. */
  params: Float64Array | Float32Array;
  /** Which document comes when; as they are where absent. */
  order?: Uint32Array;
}

/** Largest whole number of which float32 has all smaller ones. */
export const MAX_FLOAT_INTEGER = 2 ** 24;

/** All tokens in a row, and where each document is: its first token, its positions. */
export function packDocuments(sequences: Sequences) {
  const tokens = new Uint32Array(packedTokens(sequences));
  const places = new Uint32Array(sequences.length * 2);
  let end = 0;
  for (let d = 0; d < sequences.length; d++) {
    const start = end;
    end = writeAt(sequences, d, tokens, start);
    places[2 * d] = start;
    places[2 * d + 1] = end - start - 1;
  }
  return { tokens, places };
}

/** Tokens in that row. */
export function packedTokens(sequences: Sequences): number {
  return sequences.length + countPositions(sequences);
}

/** Rows (first token, positions) of the documents in an order. */
export function packOrder(places: Uint32Array, order: Uint32Array | undefined): Uint32Array {
  if (order === undefined) return places;
  const rows = new Uint32Array(places.length);
  order.forEach((d, k) => rows.set(places.subarray(2 * d, 2 * d + 2), 2 * k));
  return rows;
}

/** Fields of the kernel's struct `Model`. */
export const MODEL_FIELDS = 11;
/** Fields of the kernel's struct `Row`. */
export const ROW_FIELDS = 4;

/** How the kernel tells activations apart: its field `squared`. */
export const SQUARED: Record<Relu, number> = { relu: 0, relu_squared: 1 };

/** The kernel's struct `Model`. */
export function packModel(config: Config, order: number, schedule: number): Float32Array {
  return Float32Array.of(
    config.learning_rate,
    config.beta1,
    config.beta2,
    config.epsilon,
    config.weight_decay,
    config.grad_clip,
    config.rmsnorm_eps,
    SQUARED[reluOf(config)],
    config.batch_size,
    order,
    schedule,
  );
}

/** What tells two schedules apart. */
export function scheduleKey(config: Config): string {
  const { lr_schedule, warmup_steps, final_lr_fraction, decay_fraction, ...rest } = config;
  const { num_steps, beta1, beta2, batch_size } = rest;
  const shape = [lr_schedule, warmup_steps, final_lr_fraction, decay_fraction];
  return JSON.stringify([...shape, num_steps, beta1, beta2, batch_size]);
}

/** The kernel's struct `Row` for each of `steps` steps from `first` on. */
export function packSchedule(
  config: Config,
  docs: number,
  first: number,
  steps: number,
): Float32Array {
  const rows = new Float32Array(steps * ROW_FIELDS);
  for (let k = 0; k < steps; k++) {
    const step = first + k;
    const { correction1, correction2 } = biasCorrections(config, step);
    const factor = scheduleFactor(config, step);
    const document = step < config.num_steps ? (step * config.batch_size) % docs : -1;
    rows.set([factor, correction1, correction2, document], k * ROW_FIELDS);
  }
  return rows;
}

/** The kernel's struct `Text`: tokens that are given, the first position with logits, positions at most. */
export interface SmallText {
  given: number;
  first: number;
  /** 0 where there is no text. */
  end: number;
  temperature: number;
}

export const NO_TEXT: SmallText = { given: 0, first: 0, end: 0, temperature: 0 };

/** Fields of that struct. */
export const TEXT_FIELDS = 4;

export function packTexts(texts: readonly SmallText[]): Float32Array {
  return Float32Array.from(
    texts.flatMap(({ given, first, end, temperature }) => [given, first, end, temperature]),
  );
}
