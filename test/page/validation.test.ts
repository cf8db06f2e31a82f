// What the page tells of validations: their bits per byte, and why a run ends for want of better ones.

import { expect, test } from "vitest";
import { drivePage, open, set, stepOf, train } from "./driver.ts";

drivePage();

test("shows bits per byte, and why a run ended before its last step", async () => {
  const page = await open();
  await set(page, { val_fraction: "0.2", eval_every: "10", patience: "2" });
  await train(page, { device: "cpu", num_steps: "400", learning_rate: "0", n_embd: "8" });
  // Nothing is learnt, so that no validation is better than the first one.
  expect(await stepOf(page)).toBe(30);
  expect(await page.textContent("#val-bits")).toMatch(/^\d\.\d\d bits\/byte$/);
  expect(await page.textContent("#note")).toMatch(
    /^Stopped early: 2 validations since that after step 10 found no loss lower than its \d\.\d{4}, \d\.\d{4} bits\/byte \(patience 2\)\./,
  );
});
