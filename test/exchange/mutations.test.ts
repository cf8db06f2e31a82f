// Foreign files with something changed: each is a model, or is refused in a sentence, at once.

import { expect, test } from "vitest";
import { runMutations } from "../harness/foreign_mutations.ts";

test("a thousand changes to settings, tokenizers and weights", () => {
  const { sentences, models } = runMutations(1200, 1);
  expect(models).toBeGreaterThan(100);
  expect(sentences.size).toBeGreaterThan(100);
  for (const sentence of sentences) expect(sentence).toMatch(/^\S.{20,1200}\.$/s);
});
