// The options by which a model writes and answers, and what is refused of them.

import { resolveConfig } from "../config.ts";
import { type DeviceChoice, devices } from "../device/choose.ts";
import { ConfigError } from "../errors.ts";
import type { Model } from "../files/model_files.ts";
import type { AnsweringOptions, SamplingOptions } from "../generation/from_model.ts";
import { type Sampling, samplingNames } from "../generation/generate.ts";
import { checkNames } from "../names.ts";

/** How texts are written, all of it optional: what is absent is as the model's own settings have it. */
export interface GenerateOptions extends Partial<SamplingOptions> {
  /** `auto` where absent: WebGPU, or the CPU where there is none. */
  device?: DeviceChoice;
}

/** How the assistant answers, all of it optional: what is absent is as the model's own settings have it. */
export interface ChatOptions extends Partial<AnsweringOptions> {
  /** `auto` where absent: WebGPU, or the CPU where there is none. */
  device?: DeviceChoice;
}

export const answering: readonly string[] = [
  ...samplingNames.filter((name) => name !== "num_samples"),
  ...Object.keys({
    seed: true,
    stop: true,
    logit_bias: true,
    logprobs: true,
    signal: true,
  } satisfies Record<Exclude<keyof AnsweringOptions, keyof Sampling>, true>),
];

export const writing: readonly string[] = [...answering, "num_samples", "prompt"];

/** @throws ConfigError if an option is unknown or has a value that it cannot have */
export function checkedSampling(
  model: Pick<Model, "config">,
  options: Partial<SamplingOptions>,
  known: readonly string[],
): SamplingOptions {
  checkNames("option", options, known);
  const sampling: SamplingOptions = { seed: model.config.seed, ...options };
  const settings = Object.entries(sampling).filter(([name]) => name in model.config);
  resolveConfig("microgpt", { ...model.config, ...Object.fromEntries(settings) });
  return sampling;
}

/** @throws ConfigError if there is no such device */
export function checkDevice(device: DeviceChoice): void {
  checkChoice("device", device, devices);
}

/** @throws ConfigError if the value is none of the choices */
export function checkChoice(name: string, value: unknown, choices: readonly string[]): void {
  if (choices.includes(value as string)) return;
  throw new ConfigError(
    name,
    `${name} is ${JSON.stringify(value)}; it must be ${choices.join(" or ")}.`,
  );
}
