// Of what a GPU keeps weights, keys and values while it writes: f32, by which its tokens are the CPU's, or half of that.

import { platform } from "#platform";
import type { Config, ConfigChoice } from "../config.ts";
import { recallCertificate } from "../device/certificate.ts";
import type { Device } from "../device/device.ts";
import { ConfigError } from "../errors.ts";
import type { Model } from "../files/model_files.ts";
import { beyondHalf } from "../model/half_range.ts";

export interface WritingDtype {
  dtype: Config["dtype"];
  /** Why `auto` took it, a sentence without its full stop that begins with it; null where it was asked for. */
  dtype_reason: string | null;
}

/**
 * @param device undefined for the CPU
 * @param wanted `auto` is f16 where doctor has certified it on the very device, and no weight is too large for it
 * @throws ConfigError if f16 was asked for and is not to be had
 */
export async function writingDtype(
  device: Device | undefined,
  wanted: ConfigChoice["dtype"],
  model: Pick<Model, "layout" | "values">,
): Promise<WritingDtype> {
  const obstacle = wanted === "f32" ? null : obstacleOf(device, model);
  if (wanted !== "auto") {
    if (obstacle === null) return { dtype: wanted, dtype_reason: null };
    throw new ConfigError(
      "dtype",
      `With dtype f16 a GPU keeps weights, keys and values in half precision, but ${obstacle}. Choose dtype f32.`,
    );
  }
  if (!device || obstacle !== null) return { dtype: "f32", dtype_reason: `f32: ${obstacle}` };
  const certificate = await recallCertificate(device);
  if (certificate?.dtypes.includes("f16")) {
    const why = `doctor certified it for ${device.name} on ${certificate.date}`;
    return { dtype: "f16", dtype_reason: `f16: ${why}` };
  }
  const hint = platform.doctor === null ? "" : `; run ${platform.doctor}`;
  const why = `doctor has not certified f16 on ${device.name}${hint}`;
  return { dtype: "f32", dtype_reason: `f32: ${why}` };
}

function obstacleOf(
  device: Device | undefined,
  { layout, values }: Pick<Model, "layout" | "values">,
): string | null {
  if (!device) return "the CPU writes in float64";
  if (device.features.includes("shader-f16")) return beyondHalf(layout, values);
  return `${device.name} does not offer f16 to WebGPU (shader-f16)`;
}
