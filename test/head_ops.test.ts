// What the planner of memory must know of the kernels between q and k's product and attention.

import { expect, test } from "vitest";
import { headChunks } from "../src/model/head_ops.ts";

test.each([1, 7, 1024, 1025, 5000, 2 ** 20])(
  "%i rows are in chunks, none empty, 1024 at most",
  (N) => {
    const { rows, chunks } = headChunks(N);
    expect(chunks).toBeLessThanOrEqual(1024);
    expect(rows * chunks).toBeGreaterThanOrEqual(N);
    expect(rows * (chunks - 1)).toBeLessThan(N);
  },
);
