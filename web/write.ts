// Texts on request, in the worker: what was written so far is posted while it is written.

import { UserError } from "../src/errors.ts";
import type { Model } from "../src/files/model_files.ts";
import { encodePrompt } from "../src/tokenizer/prompt.ts";
import type { SamplingOptions } from "../src/generation/from_model.ts";
import { lengthNotes, type PieceEvent, type SampleEvent } from "../src/generation/generate.ts";
import type { Clerk } from "./desk.ts";
import type { Report, WrittenReport } from "./protocol.ts";

const REPORT_MS = 50;

/** A run in training, or a model that is trained. */
export interface Author {
  model: Pick<Model, "config" | "tokenizer">;
  write(options: SamplingOptions): AsyncGenerator<PieceEvent | SampleEvent>;
}

/** @param now of the model as it is */
export function write(
  { model, write }: Author,
  post: (report: Report) => void,
  now: () => Pick<WrittenReport, "step" | "fallback">,
): Clerk["write"] {
  return async ({ id, prompt, ...options }, signal) => {
    try {
      const notes = lengthNotes(model.config, encodePrompt(model.tokenizer, prompt).length);
      const texts: string[] = [];
      const report = () => post({ type: "written", id, texts: [...texts], notes, ...now() });
      let lastReport = performance.now();
      for await (const event of write({ ...options, prompt, signal })) {
        const at = event.index - 1;
        texts[at] = event.type === "sample" ? event.text : (texts[at] ?? "") + event.text;
        if (performance.now() - lastReport < REPORT_MS) continue;
        report();
        lastReport = performance.now();
      }
      if (!signal.aborted) report();
    } catch (error) {
      const { message } = error as Error;
      if (!(error instanceof UserError)) throw error;
      post({ type: "unwritten", message });
    }
  };
}
