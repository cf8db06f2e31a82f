// Validations whose losses a test decides.

import { vi } from "vitest";
import { CpuTrainer } from "../../src/training/cpu_trainer.ts";

/** Validations that find these losses, one after the other; until vi.restoreAllMocks(). */
export function finding(losses: readonly number[]): void {
  const rest = [...losses];
  vi.spyOn(CpuTrainer.prototype, "evaluate").mockImplementation(async () => rest.shift()!);
}
