// Whole models that continue texts, against the reference: those that doctor certifies a device by, with weights, keys and
// values in f32 and in f16.

import { expect, test } from "vitest";
import { checkTexts, modelsFor } from "../../src/verify/certify.ts";
import { SHARE_IN_BROWSER } from "../harness/cases.ts";
import { device } from "../harness/device.ts";

const models = modelsFor(device).filter((_, i) => i % SHARE_IN_BROWSER === 0);

test.each(models)("logits are those of the reference: $name", async (model) => {
  const result = await checkTexts(device, model.name, model.overrides);
  expect(result.pass || result).toBe(true);
});
