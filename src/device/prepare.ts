// What is done before a run's first step, told while it is done.

/** Told at the beginning (`done` is 0), whenever one more is done, and at the end (`done` is `total`). */
export interface PrepareEvent {
  type: "prepare";
  /** compile: pipelines. measure: shapes of products, whose kernels are timed. */
  what: "compile" | "measure";
  done: number;
  total: number;
}
