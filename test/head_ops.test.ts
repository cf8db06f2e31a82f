// What the planner of memory must know of the gains that heads share.

import { expect, test } from "vitest";
import { headParts } from "../src/model/head_ops.ts";

test.each([1, 7, 1024, 1025, 5000, 2 ** 20])(
  "%i rows are in parts, none empty, 1024 at most",
  (N) => {
    const { rows, parts, plane } = headParts(N, 6);
    expect(parts).toBeLessThanOrEqual(1024);
    expect(rows * parts).toBeGreaterThanOrEqual(N);
    expect(rows * (parts - 1)).toBeLessThan(N);
    expect(plane).toBeGreaterThanOrEqual(parts * 6);
    expect((plane * 4) % 256).toBe(0); // k's are a binding of their own
  },
);
