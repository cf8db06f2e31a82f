// Which kernels make the products of a training step: measured on the device once, and remembered.

import type { Config } from "../config.ts";
import { adapterKey, digest } from "../device/adapter_memory.ts";
import type { Device } from "../device/device.ts";
import type { Dispatch } from "../device/schedule.ts";
import { placeholders } from "../device/tensors.ts";
import { tryMatrices } from "../device/trial.ts";
import type { Choices } from "../model/gpu_ops.ts";
import type { Dims } from "../model/parameters.ts";
import { productFlops, type ProductShape, type ProductVariant } from "../model/product.ts";
import { planStep } from "../model/step_plan.ts";
import { planTexts, writingSizes } from "../model/text_plan.ts";
import { type Measurements, recall, remember, type Times } from "./memory.ts";
import { fastest, prepareProducts, productDispatches, timeProducts } from "./time_products.ts";

/**
 * auto: what is remembered; else measured on hardware, and by rule on software GPUs, where a measurement
 * compiles for longer than it saves. off: by rule. measure: measured anew.
 */
export type TuningMode = "auto" | "off" | "measure";
/** Whether what is remembered counts, and where it is measured. */
const modes: Record<TuningMode, { recalls: boolean; measuresOn(device: Device): boolean }> = {
  auto: { recalls: true, measuresOn: (device) => !device.software },
  off: { recalls: false, measuresOn: () => false },
  measure: { recalls: false, measuresOn: () => true },
};
export const tuningModes = Object.keys(modes) as readonly TuningMode[];

/** How the kernel of one product was chosen. */
export interface Choice extends ProductShape {
  /** The chosen one's name. */
  variant: string;
  by: "rule" | "measurement" | "memory" | "necessity";
  /** Of what was tried, now or when it was remembered; null where the rule chose. */
  ms: Times | null;
}

export interface Tuning {
  choices: Choice[];
  /** The same for the same choices, driver and kernels' text: then a run gives the same bits. */
  id: string;
  /** Why what was measured could not be remembered; null otherwise. */
  forgotten: string | null;
  /** Why no kernel for the device's matrix units is among them; null where it has none, and where that may be. */
  matrix_fault: string | null;
  product: NonNullable<Choices["product"]>;
}

/** A tuning in a few numbers. */
export interface TuningSummary {
  /** Shapes whose kernel was chosen, out of several, by rule… */
  rule: number;
  /** …by a measurement just now, after which a run may differ from earlier ones in the last digits… */
  measured: number;
  /** …and by one that was remembered. */
  remembered: number;
  id: string;
  forgotten: string | null;
  matrix_fault: string | null;
}

export function summaryOf({ choices, id, forgotten, matrix_fault }: Tuning): TuningSummary {
  const count = (by: Choice["by"]) => choices.filter((choice) => choice.by === by).length;
  const [rule, measured, remembered] = [count("rule"), count("measurement"), count("memory")];
  return { rule, measured, remembered, id, forgotten, matrix_fault };
}

export interface TuneOptions {
  mode?: TuningMode;
  /** Told how many shapes of how many are measured. */
  progress?: (done: number, total: number) => void;
  /** Once aborted, no further shape is measured: the rule chooses for those that are left. */
  signal?: AbortSignal;
  /** Measures; a test gives it something else. */
  time?: typeof timeProducts;
}

/** @throws GpuError if the device fails */
export async function tune(
  device: Device,
  config: Config,
  dims: Dims,
  { mode = "auto", progress = () => {}, signal, time = timeProducts }: TuneOptions = {},
): Promise<Tuning> {
  await tryMatrices(device, () => candidates(device, config, dims), { signal });
  const wanted = productsOf(device, config, dims);
  const kernels = [
    ...new Set([...wanted.values()].flatMap(({ variants }) => variants.map((v) => v.kernel))),
  ];
  const key = await adapterKey(device, kernels.sort());
  const remembered = modes[mode].recalls ? await recall(key) : {};
  const measuring = modes[mode].measuresOn(device);

  const open = [...wanted].filter(
    ([name, { variants }]) =>
      measuring && variants.length > 1 && !fastest(variants, remembered[name] ?? {}),
  );
  if (time === timeProducts) {
    const dispatches = open.map(([, { shape, variants }]) =>
      productDispatches(device, shape, variants),
    );
    await prepareProducts(device, dispatches.flat());
  }
  const measured: Measurements = {};
  // The smaller ones tell how long the larger ones may take.
  for (const [name, { shape, variants }] of open.toSorted(bySize)) {
    if (signal?.aborted) break;
    progress(Object.keys(measured).length, open.length);
    measured[name] = await time(device, shape, variants);
    countOn(device, [[shape, Math.max(...Object.values(measured[name]))]]);
  }
  if (open.length > 0) progress(open.length, open.length);
  const forgotten = Object.keys(measured).length > 0 ? await remember(key, measured) : null;

  const chosen = new Map<string, ProductVariant>();
  const choices = [...wanted].map(([name, { shape, variants }]): Choice => {
    const ms = measured[name] ?? remembered[name] ?? null;
    const best = ms && fastest(variants, ms);
    const variant = best ?? variants[0];
    chosen.set(name, variant);
    const unmeasured = variants.length > 1 ? "rule" : "necessity";
    const by = !best ? unmeasured : measured[name] ? "measurement" : "memory";
    return { ...shape, variant: variant.name, by, ms: best ? ms : null };
  });
  countOn(
    device,
    choices.flatMap((choice) => (choice.ms ? [[choice, choice.ms[choice.variant]] as const] : [])),
  );
  const place = await adapterKey(device, device.kernels.names);
  const names = [...chosen].map(([name, variant]) => [name, variant.name]);
  return {
    choices,
    id: await digest(JSON.stringify([place, names])),
    forgotten,
    matrix_fault: device.matrixFault ?? null,
    product: (shape, variants) => chosen.get(keyOf(shape)) ?? variants[0],
  };
}

/** A product of so many operations keeps a GPU busy: its time tells how fast that is. */
const TELLING = 1e9;

/** Lets schedules know what products are made at: by the slowest of these, with their times in ms. */
function countOn(
  device: Device,
  products: readonly (readonly [shape: ProductShape, ms: number])[],
): void {
  const rates = products
    .map(([shape, ms]) => [productFlops(shape), ms])
    .filter(([flops, ms]) => flops >= TELLING && ms > 0)
    .map(([flops, ms]) => flops / ms / 1e6);
  if (rates.length > 0 && !device.software) device.gflops = Math.min(...rates);
}

function bySize(...[[, a], [, b]]: [string, { shape: ProductShape }][]): number {
  return productFlops(a.shape) - productFlops(b.shape);
}

/** All that training may dispatch, whatever is chosen: steps, validations, and what writes samples. */
function candidates(device: Device, config: Config, dims: Dims): Dispatch[] {
  const { layout, table, list, evaluation } = planStep(device, config, dims);
  const tensors = placeholders(table);
  const products = [...productsOf(device, config, dims).values()];
  return [
    ...list(tensors),
    ...evaluation(tensors),
    ...planTexts(device, config, layout, writingSizes(config)).dispatches,
    ...products.flatMap(({ shape, variants }) => productDispatches(device, shape, variants)),
  ];
}

/** The products of a step, each shape once, with all that can make it. */
function productsOf(device: Device, config: Config, dims: Dims) {
  const wanted = new Map<string, { shape: ProductShape; variants: readonly ProductVariant[] }>();
  planStep(device, config, dims, (shape, variants) => {
    wanted.set(keyOf(shape), { shape, variants });
    return variants[0];
  });
  return wanted;
}

function keyOf({ op, M, N, K, half, epilogue }: ProductShape): string {
  const types = half.length > 0 ? ["f16", ...half] : ["f32"];
  const words = [op, `${M}x${N}x${K}`, ...types, ...(epilogue === "none" ? [] : [epilogue])];
  return words.join(" ");
}
