// Which dtype `auto` stands for: f16 where `doctor` has certified it on the very device that trains, else f32.

import { platform } from "#platform";
import type { Config, ReadConfig } from "../config.ts";
import { recallCertificate } from "../device/certificate.ts";
import type { Device } from "../device/device.ts";
import type { SmallTuning } from "../small/ops.ts";
import { whyNotHalf } from "./choose_trainer.ts";

/**
 * The config with its dtype chosen, and why, as one sentence without its full stop that begins with the dtype; the
 * reason is null where the user chose.
 * @param device undefined for the CPU
 * @param small how one workgroup trains the model, if it does: chooseSmall's choice
 */
export async function chooseDtype(
  device: Device | undefined,
  config: ReadConfig,
  small: SmallTuning | undefined,
): Promise<{ config: Config; dtype_reason: string | null }> {
  const { dtype } = config;
  if (dtype !== "auto") return { config: { ...config, dtype }, dtype_reason: null };
  const chosen = await automatic(device, small !== undefined);
  return {
    config: { ...config, dtype: chosen.dtype },
    dtype_reason: `${chosen.dtype}: ${chosen.why}`,
  };
}

async function automatic(
  device: Device | undefined,
  small: boolean,
): Promise<{ dtype: Config["dtype"]; why: string }> {
  const obstacle = whyNotHalf(device);
  if (!device || obstacle !== null) return { dtype: "f32", why: obstacle! };
  if (small)
    return { dtype: "f32", why: "a model as small as this has a kernel of its own, in f32" };
  const certificate = await recallCertificate(device);
  if (certificate?.dtypes.includes("f16")) {
    return { dtype: "f16", why: `doctor certified it for ${device.name} on ${certificate.date}` };
  }
  const hint = platform.doctor === null ? "" : `; run ${platform.doctor}`;
  return { dtype: "f32", why: `doctor has not certified f16 on ${device.name}${hint}` };
}
