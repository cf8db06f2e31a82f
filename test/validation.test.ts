// Training on streams, and validation: the reference's losses, at the steps that were asked for, and a run that
// is the same bits with and without it.

import { expect, test } from "vitest";
import { type Config, resolveConfig } from "../src/config.ts";
import { DivergedError } from "../src/errors.ts";
import type { Model } from "../src/files/model_files.ts";
import { Generator } from "../src/generation/from_model.ts";
import { ParameterLayout } from "../src/model/parameters.ts";
import { PythonRandom } from "../src/random.ts";
import { ReferenceGpt } from "../src/reference/gpt.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import type { Tokenizer } from "../src/tokenizer/tokenizer.ts";
import { Sweep } from "../src/training/sweep.ts";
import type { SweepModel } from "../src/training/sweep_model.ts";
import { type EvalEvent, Training } from "../src/training/train.ts";

const text = "the cat sat on the mat\nthe dog sat on the log\nthe end of the song\n".repeat(4);
const lines = text.trim().split("\n");

/** Each is trained by another trainer on the GPU. */
const kinds: { name: string; overrides: Partial<Config> }[] = [
  { name: "text", overrides: { format: "text", batch_size: 3 } },
  { name: "lines", overrides: {} },
  { name: "lines in batches", overrides: { batch_size: 5 } },
  { name: "lines, a larger model", overrides: { n_embd: 48, batch_size: 5, n_layer: 2 } },
];
const devices = ["cpu", "webgpu"] as const;
const cases = kinds.flatMap(({ name, overrides }) =>
  devices.map((device) => ({ name, overrides, device })),
);

function open(device: (typeof devices)[number], overrides: Partial<Config>) {
  const config = resolveConfig("microgpt", { num_steps: 12, val_fraction: 0.25, ...overrides });
  const documents = config.format === "text" ? [text] : lines;
  return Training.open({ config, documents, device });
}

async function run(device: (typeof devices)[number], overrides: Partial<Config>) {
  const training = await open(device, overrides);
  const losses: number[] = [];
  const evaluations: EvalEvent[] = [];
  for await (const event of training.run()) {
    if (event.type === "eval") evaluations.push(event);
    else if (event.type === "step") losses.push(event.loss);
  }
  const model = await training.model();
  training.close();
  return { losses, evaluations, model };
}

test.each(cases)(
  "validating changes nothing of a run: $name, $device",
  async ({ overrides, device }) => {
    const once = await run(device, overrides);
    const often = await run(device, { ...overrides, eval_every: 5 });
    expect(often.losses).toEqual(once.losses);
    expect(often.model.values).toEqual(once.model.values);
    expect(often.evaluations.map(({ step }) => step)).toEqual([5, 10, 12]);
    expect(once.evaluations).toEqual(often.evaluations.slice(2));
  },
);

test.each(cases)(
  "the validation loss is the reference's, of the model as it is: $name, $device",
  async ({ overrides, device }) => {
    const { model, evaluations } = await run(device, overrides);
    const expected = referenceLoss(model);
    expect(evaluations[0].val_loss).toBeCloseTo(expected, device === "cpu" ? 10 : 5);
  },
);

/** Sequence by sequence, position by position, with the float64 forward pass alone. */
function referenceLoss({ config, values, layout, tokenizer }: Model): number {
  const { dims } = layout;
  const flat = new ParameterLayout(dims);
  const params = layout.convert(values, flat, new Float64Array(flat.size));
  const gpt = new ReferenceGpt(config, dims, params);
  const losses = heldOut(config, tokenizer).flatMap((sequence) => {
    const T = sequence.length - 1;
    const logits = gpt.forward({ B: 1, T, inputs: sequence.slice(0, T) });
    return Array.from({ length: T }, (_, t) => {
      const row = logits.subarray(t * dims.V, (t + 1) * dims.V);
      const sum = row.reduce((total, logit) => total + Math.exp(logit), 0);
      return Math.log(sum) - row[sequence[t + 1]];
    });
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

/** The last quarter of what a run trains on, in its order. */
function heldOut({ format, seed }: Config, tokenizer: Tokenizer): Int32Array[] {
  if (format === "text") {
    const ids = Int32Array.from(tokenizer.encode(text));
    const last = ids.subarray(ids.length - Math.round(ids.length / 4));
    const starts = Array.from({ length: Math.ceil((last.length - 1) / 16) }, (_, w) => 16 * w);
    return starts.map((start) => last.subarray(start, start + 17));
  }
  const shuffled = [...lines];
  new PythonRandom(seed).shuffle(shuffled);
  const { bos } = tokenizer;
  return shuffled
    .slice(shuffled.length - Math.round(shuffled.length / 4))
    .map((line) => Int32Array.from([bos, ...tokenizer.encode(line), bos]).subarray(0, 17));
}

test.each(kinds)("what is held out has no influence on the training: $name", async (kind) => {
  const config = resolveConfig("microgpt", {
    num_steps: 20,
    val_fraction: 0.25,
    ...kind.overrides,
  });
  const backwards = (part: string) => [...part].reverse().join("");
  const end = text.length - Math.round(text.length / 4);
  const order = lines.map((_, i) => i);
  new PythonRandom(config.seed).shuffle(order);
  const held = new Set(order.slice(order.length - Math.round(lines.length / 4)));
  const [documents, others] =
    config.format === "text"
      ? [[text], [text.slice(0, end) + backwards(text.slice(end))]]
      : [lines, lines.map((line, i) => (held.has(i) ? backwards(line) : line))];

  const outcome = async (documents: string[]) => {
    const training = await Training.open({ config, documents, device: "webgpu" });
    const losses: number[] = [];
    let validation = NaN;
    for await (const event of training.run()) {
      if (event.type === "eval") validation = event.val_loss;
      else if (event.type === "step") losses.push(event.loss);
    }
    training.close();
    return { losses, validation };
  };
  const [before, after] = [await outcome(documents), await outcome(others)];
  expect(after.losses).toEqual(before.losses);
  expect(after.validation).not.toBe(before.validation);
});

test("the start tells what is trained on and what is held out", async () => {
  const stream = await open("cpu", { format: "text" });
  expect(stream.start).toMatchObject({
    num_docs: 1,
    num_val_docs: 0,
    num_tokens: text.length,
    num_val_tokens: text.length / 4,
    num_truncated: 0,
  });
  const documents = await open("cpu", {});
  expect(documents.start).toMatchObject({ num_docs: 12, num_val_docs: 3, num_truncated: 12 });
  expect(documents.start).toMatchObject({ num_tokens: 12 * 16, num_val_tokens: 3 * 16 });
});

test("steps() gives the steps alone, and a stopped run validates no more", async () => {
  const training = await open("cpu", { eval_every: 2 });
  const steps: number[] = [];
  for await (const { step } of training.steps()) steps.push(step);
  expect(steps).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

  const stop = new AbortController();
  const stopped = await open("cpu", { eval_every: 5 });
  const types: string[] = [];
  for await (const { type, step } of stopped.run(stop.signal)) {
    types.push(type);
    if (step === 7) stop.abort();
  }
  expect(types.join(" ")).toBe("step step step step step eval step step");
});

test("a run that was left goes on where it was, with the validation that was due", async () => {
  const training = await open("webgpu", { eval_every: 6 });
  const seen: string[] = [];
  for await (const { step } of training.run()) if (step === 6) break;
  for await (const { type, step } of training.run()) seen.push(`${type} ${step}`);
  expect(seen.filter((event) => event.startsWith("eval"))).toEqual(["eval 6", "eval 12"]);
  expect(seen.slice(-3)).toEqual(["step 12", "save 12", "eval 12"]);
  training.close();
});

test.each(devices)(
  "a model lost at the last step is told by its validation: %s",
  async (device) => {
    const training = await open(device, { num_steps: 1, learning_rate: 3e38, format: "text" });
    const all = async () => {
      for await (const event of training.run()) expect(event.type).not.toBe("eval");
    };
    await expect(all()).rejects.toThrow(DivergedError);
    await expect(all()).rejects.toThrow(/after step 1 the validation loss is /);
    training.close();
  },
);

test("a model of a stream begins a line, writes its context full and never BOS", async () => {
  const overrides = { format: "text", num_steps: 1, num_samples: 5, temperature: 1 } as const;
  const training = await open("cpu", overrides);
  for await (const _ of training.run());
  const texts: string[] = [];
  for await (const { text } of training.samples()) texts.push(text);
  for (const text of texts) expect(text).toHaveLength(16);

  const generator = await Generator.open(await training.model(), "cpu");
  const options = { num_samples: 2, temperature: 1, seed: 3 };
  for await (const { text } of generator.samples({ ...options, prompt: "the" })) {
    expect(text).toMatch(/^the/);
    expect(text).toHaveLength(16);
  }
  expect(training.tokenizer.start).toBe(training.tokenizer.encode("\n")[0]);
  expect(CharTokenizer.fromDocuments(["b a"]).start).toBe(0); // the space
});

test.each(devices)(
  "a sweep tells each model's validation loss, as train does: %s",
  async (device) => {
    for (const { overrides } of kinds.slice(0, 3)) {
      const base = resolveConfig("microgpt", { num_steps: 12, val_fraction: 0.25, ...overrides });
      const configs = [
        base,
        { ...base, init_std: 0.2, activation: "relu_squared" as const },
        { ...base, learning_rate: 1e38 },
      ];
      const documents = base.format === "text" ? [text] : lines;
      const sweep = await Sweep.open({ configs, documents, device });
      expect(sweep.start.num_tokens).toBe(base.format === "text" ? text.length : null);
      const models: SweepModel[] = [];
      for await (const event of sweep.run()) if (event.type === "model") models.push(event);
      expect(models[2].val_loss).toBeNaN();
      for (const { config, val_loss } of models.slice(0, 2)) {
        const { evaluations } = await run(device, config);
        expect(val_loss).toBeCloseTo(evaluations[0].val_loss, 5);
      }
      const [a, b] = models.map(({ val_loss }) => val_loss!);
      expect(sweep.best!.outcome.index).toBe(a < b ? 0 : 1);
    }
  },
);

test("a sweep over a text that is too short is refused before anything is trained", async () => {
  const configs = [1, 2].map((seed) => resolveConfig("microgpt", { seed, format: "text" }));
  const opening = Sweep.open({ configs, documents: ["short"], device: "cpu" });
  await expect(opening).rejects.toThrow(/The text has 5 tokens, and a window of it takes 17/);
});
