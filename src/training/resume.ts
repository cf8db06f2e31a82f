// What a run that is resumed may do otherwise than before, and what it has to say about it.

import { isFalling, isHalf, mayBe } from "../choices.ts";
import { type Config, type ConfigChoice, type Labels, resolveConfig } from "../config.ts";
import { aside, isOpen, leftOpen, settings } from "../config/settings.ts";
import { plural } from "../count.ts";
import { ConfigError, DataError, NoWebGpuError } from "../errors.ts";
import type { Checkpoint, Circumstances } from "../files/checkpoint.ts";
import { isOutOfPatience } from "./validation.ts";

/** What decides how a model trains; of num_steps only the steps to come depend. */
const decisive = settings
  .map(({ name }) => name)
  .filter((name) => !aside.includes(name) && name !== "num_steps");

/** What of a run tells whether another one would be the same. */
type Settings = Pick<Checkpoint, "config" | "asked_vocab_size">;

/**
 * @param wanted grad_accumulation as a resolved config has it, see wholeStep()
 * @throws ConfigError naming the first setting that would make the rest of the run another one
 */
export function checkSame(
  { config: before, asked_vocab_size }: Settings,
  wanted: Partial<ConfigChoice>,
  labels: Labels = {},
): void {
  const step = before.batch_size * before.grad_accumulation;
  /** Whether a setting counts all that a step takes. */
  const isStep = (name: keyof Config) =>
    name === "grad_accumulation" && wanted.batch_size === "auto";
  /** Whether the run's own value came of the wanted one, which is not the same. */
  const became: Partial<Record<keyof Config, (value: ConfigChoice[keyof Config]) => boolean>> = {
    format: (value) => mayBe(value as Config["format"], before.format),
    vocab_size: (value) => value === asked_vocab_size,
    grad_accumulation: (value) => isStep("grad_accumulation") && value === step,
  };
  for (const name of decisive) {
    const value = wanted[name] ?? before[name];
    if (value === before[name] || isOpen(name, value)) continue; // the run's own was chosen at its start
    if (became[name]?.(value)) continue;
    const differ = isStep(name)
      ? `makes steps of ${value}, but the run to resume has them of ${step}`
      : `is ${value}, but the run to resume has ${before[name]}`;
    throw new ConfigError(
      name,
      `${labels[name] ?? name} ${differ}; leave it out, or begin a new run.`,
    );
  }
}

/**
 * The settings of a run that goes on.
 * @param overrides num_steps, and what has no influence on how a model trains; of all else only what it is already, or
 *   what it came of, with grad_accumulation as a resolved config has it
 * @param labels how the user wrote a setting, for the messages; its own name where absent
 * @throws ConfigError if a setting would make it another run, or leaves no step to be done
 */
export function resumedConfig(
  run: Settings & Pick<Checkpoint, "step" | "validated" | "best">,
  overrides: Partial<ConfigChoice> = {},
  labels: Labels = {},
): Config {
  const { config: before, step, validated, best } = run;
  checkSame(run, overrides, labels);
  const names = [...leftOpen, "grad_accumulation"] as const; // which goes with an open batch_size
  const met = Object.fromEntries(names.map((name) => [name, before[name]]));
  const wanted = { ...before, ...overrides, ...met } as Config; // nothing is open any more
  const config = resolveConfig("microgpt", wanted, labels);
  if (config.num_steps < step || (config.num_steps === step && validated)) {
    const steps = labels.num_steps ?? "num_steps";
    throw new ConfigError(
      "num_steps",
      config.num_steps === step
        ? `The run to resume has done all its ${plural(step, "step")}. To train it further, set ${steps} to more.`
        : `${steps} is ${config.num_steps}, but the run to resume has done ${plural(step, "step")} already; set it to more.`,
    );
  }
  if (isOutOfPatience(config, best)) {
    const patience = labels.patience ?? "patience";
    throw new ConfigError(
      "patience",
      `${patience} is ${config.patience}, and the run to resume has had ${plural(best!.later, "validation")} since its ` +
        `best, after step ${best!.step}. To train it further all the same, set ${patience} to more, or to 0.`,
    );
  }
  return config;
}

/** @throws DataError if the run to resume was trained on another text */
export function checkText(resume: Pick<Checkpoint, "text" | "input">, text: string): void {
  if (resume.text === text) return;
  const from = resume.input === null ? "" : `, which was ${resume.input.join(", ")}`;
  throw new DataError(
    `The text is not the one that the run to resume was trained on${from}: its tokens or their order differ. ` +
      `Give it the same text as before, or begin a new run.`,
  );
}

/** What opening a run to resume throws; where it lacks the GPU that it was trained on, with what to do then. */
export function withoutDevice(
  { config, device }: Pick<Checkpoint, "config" | "device">,
  error: unknown,
): unknown {
  if (!(error instanceof NoWebGpuError) || device === "cpu") return error;
  return new NoWebGpuError(
    `${error.message} The run to resume was trained on a GPU; ` +
      (isHalf(config.dtype)
        ? `with its dtype, f16, it goes on only where there is one.`
        : `with device cpu it goes on without one, and numbers will differ.`),
  );
}

/** Why the rest of a run may not be what it would have been in one piece, a sentence each. */
export function differences(
  before: Checkpoint,
  now: Omit<Circumstances, "text" | "input"> & { config: Config },
): string[] {
  const list: string[] = [];
  const { dtype } = now.config; // as before
  const place = ({ device, adapter }: Pick<Circumstances, "device" | "adapter">) =>
    device === "cpu" ? "the CPU in float64" : `${adapter} with dtype ${dtype}`;
  if (place(before) !== place(now)) {
    list.push(
      `It goes on by ${place(now)} and was trained by ${place(before)}: numbers will differ.`,
    );
  } else if (before.kernels !== now.kernels) {
    const choice = ({ kernels }: Pick<Circumstances, "kernels">) => kernels ?? "none";
    list.push(
      `Other kernels, or another driver, make its products (choice ${choice(now)}, before ${choice(before)}): the last digits may differ.`,
    );
  }
  const [{ num_steps: was }, { num_steps, lr_schedule }] = [before.config, now.config];
  if (num_steps !== was && isFalling(lr_schedule)) {
    list.push(
      `Its learning rates are from here on those of a run of ${plural(num_steps, "step")}, before of ${was}.`,
    );
  }
  return list;
}
