// How many texts a GPU has room for at the same time.

import { platform } from "#platform";
import type { Device } from "../../device/device.ts";
import { checkTensors, tableBytes } from "../../device/tensors.ts";
import { TensorTooLargeError } from "../../errors.ts";
import type { ForwardConfig } from "../../model/forward_config.ts";
import type { ParameterLayout } from "../../model/parameters.ts";
import { planTexts, type TextSizes } from "../../model/text_plan.ts";

/** Of main memory, as a GPU in software takes it. */
const SHARE = 0.5;

/** As many slots as are asked for, or half of them, or a quarter …, so that they fit the device; one at least. */
export function mostSlots(
  device: Device,
  config: ForwardConfig,
  layout: ParameterLayout,
  { num_slots, dtype }: TextSizes,
): number {
  for (let most = num_slots; most > 1; most = Math.floor(most / 2)) {
    const { table } = planTexts(device, config, layout, { num_slots: most, dtype });
    if (device.software && tableBytes(table) > SHARE * platform.memory()) continue;
    try {
      checkTensors(device, table);
      return most;
    } catch (error) {
      if (!(error instanceof TensorTooLargeError)) throw error;
    }
  }
  return 1;
}
