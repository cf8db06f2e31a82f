// Vitest's configuration: three projects, one coverage report. `npm test` prepares the GPU and runs it.

import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { findBrowser } from "./harness/browser.ts";
import { LongestFirst } from "./harness/order.ts";
import { cache, root } from "./harness/unpack.ts";

// Software GPUs are slow, and compile their shaders at the first dispatch.
const patience = { testTimeout: 120_000, hookTimeout: 120_000 };

/** Tests whose time goes into loops over numbers: see test/harness/uncounted.ts. */
const uncounted = [
  "float32",
  "long_text",
  "modern",
  "reference",
  "tokenizer/bpe",
  "tokenizer/pretokens",
].map((name) => `test/${name}.test.ts`);

// Dawn is a native module: processes, not threads. Unisolated, so that the files that a process runs share the device
// that src opened once.
const inNode = {
  ...patience,
  environment: "node",
  pool: "forks",
  isolate: false,
  sequence: { groupOrder: 0 },
} as const;

export default defineConfig({
  root,
  cacheDir: `${cache}/vite`,
  test: {
    env: {
      MICROGPT_CACHE_DIR: `${cache}/kernels`, // not the user's own
      // lavapipe compiles for four lanes in half the time that it takes for eight.
      LP_NATIVE_VECTOR_WIDTH: "128",
    },
    // lavapipe and SwiftShader use every core already.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    teardownTimeout: 60_000, // coverage of a long run takes a while to write
    silent: "passed-only",
    slowTestThreshold: 10_000,
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts", "cli/**/*.ts"],
      exclude: ["cli/package/**"], // run by npm pack alone
      reporter: ["text-summary"],
      reportsDirectory: `${cache}/coverage`,
      thresholds: { lines: 95 },
    },
    projects: [
      {
        root,
        test: {
          ...inNode,
          name: "node",
          include: ["test/**/*.test.ts"],
          exclude: ["test/page/**", "test/lanes.test.ts", ...uncounted],
        },
      },
      {
        root,
        test: {
          ...inNode,
          name: "lanes",
          include: ["test/lanes.test.ts"],
          env: { LP_NATIVE_VECTOR_WIDTH: "256" },
        },
      },
      {
        root,
        test: {
          ...inNode,
          name: "numbers",
          include: uncounted,
          setupFiles: ["test/harness/uncounted.ts"],
        },
      },
      {
        root,
        test: {
          ...patience,
          name: "browser",
          api: { host: "127.0.0.1" }, // a container need not know the name localhost
          include: ["test/parity/**/*.test.ts"],
          isolate: false,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({ launchOptions: findBrowser() }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
      {
        root,
        test: {
          ...patience,
          name: "page",
          expect: { poll: { timeout: 30_000 } },
          include: ["test/page/**/*.test.ts"],
          environment: "node",
          fileParallelism: false,
          sequence: { groupOrder: 1 }, // beside the browser's: each keeps one core busy
        },
      },
    ],
  },
});
