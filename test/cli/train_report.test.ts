// What `train` tells people of events that few runs have: measured kernels, skipped steps.

import { expect, test } from "vitest";
import { humanReport } from "../../cli/train_report.ts";
import { resolveConfig } from "../../src/config.ts";
import type { StartEvent } from "../../src/training/train.ts";

const start: StartEvent = {
  type: "start",
  device: "webgpu",
  adapter: "a GPU",
  fallback: null,
  device_reason: null,
  num_docs: 9,
  num_val_docs: 0,
  num_tokens: 50,
  num_val_tokens: 0,
  format: "lines",
  format_reason: null,
  skipped: [],
  notes: [],
  num_text_tokens: 41,
  num_chars: 41,
  num_bytes: 41,
  num_unknown: 0,
  tokenizer: "char",
  tokenizer_reason: null,
  num_unread: 0,
  fitting_block_size: 16,
  num_truncated: 0,
  vocab_size: 5,
  num_params: 100,
  num_trained: 100,
  kernels: null,
  dtype_reason: null,
  batch_reason: null,
  resumed_from: null,
  differences: [],
  config: resolveConfig("microgpt"),
};

test("the header tells which tokenizer auto is, and all of why", () => {
  let text = "";
  const report = humanReport({ write: (part) => (text += part) }, { source: "names", first: null });
  const tokenizer_reason = "it has 2: a and b";
  report.start({ ...start, tokenizer: "bpe", num_text_tokens: 20, tokenizer_reason });
  expect(text).toMatch(
    /^tokens {2}bpe, 20 of .* \(auto: it has 2: a and b; or --tokenizer char\)$/m,
  );
});

test("the header tells when kernels were measured, and that earlier runs may differ", () => {
  const header = (kernels: StartEvent["kernels"]) => {
    let text = "";
    humanReport({ write: (part) => (text += part) }, { source: "names", first: null }).start({
      ...start,
      kernels,
    });
    return text;
  };
  const summary = {
    rule: 0,
    measured: 0,
    remembered: 12,
    id: "1a2b",
    forgotten: null,
    matrix_fault: null,
  };
  expect(header(null)).not.toMatch(/^kernels/m);
  expect(header({ ...summary, rule: 12, remembered: 0 })).not.toMatch(/^kernels/m);
  expect(header(summary)).toMatch(
    /^kernels choice 1a2b for 12 shapes of products, as measured before$/m,
  );
  expect(header({ ...summary, measured: 3, remembered: 9 })).toMatch(
    /^kernels choice 1a2b for 12 .*: 3 measured just now, 9 as before; runs before .* last digits$/m,
  );
  expect(header({ ...summary, measured: 12, remembered: 0, forgotten: "read-only" })).toMatch(
    /12 measured just now, but could not be remembered \(read-only\); /,
  );
  expect(header({ ...summary, matrix_fault: "its driver died" })).toMatch(
    /^note    its driver died$/m,
  );
});

test("the header tells after how many steps a run goes on, and what is different", () => {
  const told = (changes: Partial<StartEvent>) => {
    let text = "";
    humanReport({ write: (part) => (text += part) }, { source: "names", first: null }).start({
      ...start,
      ...changes,
    });
    return text;
  };
  expect(told({})).not.toMatch(/^resumed|^note/m);
  expect(told({ resumed_from: 1500, differences: ["One.", "Two."] })).toMatch(
    /^resumed after 1,500 steps\nnote {4}One\.\nnote {4}Two\.\n$/m,
  );
});

test("skipped steps are counted at the end", () => {
  const end = (skipped?: number) => {
    let text = "";
    const report = humanReport(
      { write: (part) => (text += part) },
      { source: "names", first: null },
    );
    const done = {
      steps: 9,
      seconds: 1,
      tokens_per_s: 5,
      val_loss: null,
      bits_per_byte: null,
      best: null,
      model_dir: "there",
    };
    report.end({ type: "end", ...done, ...(skipped === undefined ? {} : { skipped }) });
    return text;
  };
  expect(end(2)).toMatch(/^2 steps skipped: gradients too large for f16\.$/m);
  for (const none of [0, undefined]) expect(end(none)).not.toContain("skipped");
});
