// Decodes on the GPU: many texts at a time, each with its keys and values in a slot. They join and leave between tokens.

import { platform } from "#platform";
import type { Config } from "../config.ts";
import type { Device } from "../device/device.ts";
import { Pace } from "../device/pace.ts";
import { compile, type Preparation } from "../device/prepare.ts";
import { tryMatrices } from "../device/trial.ts";
import {
  allocateTensors,
  destroyTensors,
  type Tensor,
  type TensorSpec,
  writeTensor,
} from "../device/tensors.ts";
import type { ForwardConfig } from "../model/forward_config.ts";
import { type Dims, PARAMETER_ALIGNMENT, ParameterLayout } from "../model/parameters.ts";
import { gainLayout, MOST_STEPS, planTexts, type TextSizes } from "../model/text_plan.ts";
import type { Continuation, DecodedToken, Decoder } from "./decoder.ts";
import { TextEngine, type Top } from "./gpu/engine.ts";
import type { Reader } from "./gpu/reader.ts";
import { mostSlots } from "./gpu/slots.ts";
import { ScoredText } from "./gpu/scored.ts";
import { Text } from "./gpu/text.ts";

export interface GpuDecoding extends Partial<TextSizes>, Pick<Preparation, "progress"> {}

export class GpuDecoder implements Decoder {
  private readonly engine: TextEngine;
  private readonly dims: Dims;
  /** The parameters, where they are its own. */
  private readonly own: Record<string, Tensor>;
  private readonly slots: (Text | ScoredText | undefined)[];
  private readonly waiting: (Text | ScoredText)[] = [];
  /** Those that nobody pulls and that had to make room; they wait again once they are pulled. */
  private readonly parked = new Set<Text | ScoredText>();
  private running = false;
  private failure: Error | undefined;
  private destroyed = false;
  /** Of tokens in a submit. */
  private readonly pace = new Pace(MOST_STEPS);

  private constructor(engine: TextEngine, dims: Dims, own: Record<string, Tensor>) {
    this.engine = engine;
    this.dims = dims;
    this.own = own;
    this.slots = Array.from({ length: engine.plan.num_slots }, () => undefined);
  }

  get num_slots(): number {
    return this.slots.length;
  }

  /**
   * A decoder with weights of its own, given flat in the table's order without gaps.
   * @param decoding num_slots at most, 1 where absent; f32 where no dtype is given
   */
  static async fromValues(
    device: Device,
    config: ForwardConfig,
    dims: Dims,
    values: Float32Array | Float64Array,
    { num_slots = 1, dtype = "f32", progress }: GpuDecoding = {},
  ): Promise<GpuDecoder> {
    const layout = new ParameterLayout(dims, PARAMETER_ALIGNMENT);
    const sizes = { dtype, num_slots: mostSlots(device, config, layout, { num_slots, dtype }) };
    const dispatches = () => planTexts(device, config, layout, sizes).dispatches;
    await tryMatrices(device, dispatches);
    await compile(device, dispatches(), { progress });
    const own = await allocateTensors(device, ownTable(layout, dtype));
    const flat = new ParameterLayout(dims);
    const weights = flat.convert(values, layout, new Float32Array(layout.size));
    writeTensor(device, own.weights, weights);
    const gains = gainLayout(layout);
    for (const { name, offset } of own.gains ? gains.slices : []) {
      const slice = layout.slice(name);
      const part = { ...own.gains, offset: own.gains.offset + offset * 4 };
      writeTensor(device, part, weights.subarray(slice.offset, slice.offset + slice.size));
    }
    const parameters = { weights: own.weights, gains: own.gains ?? own.weights };
    try {
      const engine = await TextEngine.create(device, config, layout, parameters, sizes);
      return new GpuDecoder(engine, dims, own);
    } catch (error) {
      destroyTensors(own);
      throw error;
    }
  }

  /**
   * @param params flat in the layout's order; read in place, so it follows a training run
   * @param sizes whose dtype is that of params
   */
  static async create(
    device: Device,
    config: ForwardConfig,
    layout: ParameterLayout,
    params: Tensor,
    sizes: TextSizes,
  ): Promise<GpuDecoder> {
    const parameters = { weights: params, gains: params };
    const engine = await TextEngine.create(device, config, layout, parameters, sizes);
    return new GpuDecoder(engine, layout.dims, {});
  }

  async *decode(continuation: Continuation): AsyncGenerator<DecodedToken> {
    const { random, signal } = continuation;
    const text = new Text(continuation, this.dims, this.engine.plan.slides);
    for await (const token of this.through(text, text.reader, signal)) {
      random.random(); // as the text has drawn, and none that is not told
      yield token;
    }
  }

  async *score(tokens: readonly number[], signal?: AbortSignal): AsyncGenerator<Float32Array> {
    const text = new ScoredText(tokens);
    yield* this.through(text, text.reader, signal);
  }

  /** What a text gives, from its turn on. */
  private async *through<Item>(
    text: Text | ScoredText,
    reader: Reader<Item>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Item> {
    const stop = () => reader.drop();
    if (this.failure) throw this.failure;
    if (this.destroyed || signal?.aborted) return;
    signal?.addEventListener("abort", stop);
    this.waiting.push(text);
    try {
      for (;;) {
        this.unpark(text);
        this.wake(); // there is room for one more
        const item = await reader.next();
        if (item === undefined) return;
        yield item;
        if (signal?.aborted) return;
      }
    } finally {
      signal?.removeEventListener("abort", stop);
      stop();
      this.parked.delete(text);
      if (!this.running) this.admit();
    }
  }

  private all(): (Text | ScoredText)[] {
    return [...this.slots, ...this.waiting, ...this.parked].filter((text) => text !== undefined);
  }

  /** Goes on with what there is to do, if that is not done already. */
  private wake(): void {
    if (this.running || this.destroyed || this.failure) return;
    this.running = true;
    void this.run();
  }

  private async run(): Promise<void> {
    try {
      while (!this.destroyed && this.busy) await this.turn();
    } catch (error) {
      this.failure = error as Error;
      for (const text of this.all()) text.reader.fail(this.failure);
    }
    this.running = false;
    if (this.destroyed) this.free();
  }

  /** Whether there is anything to do; asked and acted on at once, for whoever comes in between wakes nobody. */
  private get busy(): boolean {
    this.admit();
    return this.waiting.length > 0 || this.due.length > 0;
  }

  /** Texts in slots that are wanted on. */
  private get due(): (Text | ScoredText)[] {
    return this.slots.filter((text) => text !== undefined).filter(({ reader }) => !reader.full);
  }

  /** Reads what is new, and draws for all others. */
  private async turn(): Promise<void> {
    await this.park();
    const { due } = this;
    const texts = due.filter((text) => text instanceof Text);
    const drawn = texts.filter((text) => !text.reads);
    const prompts = texts.filter((text) => text.reads);
    const scored = due.filter((text) => text instanceof ScoredText);
    if (prompts.length + scored.length > 0) await this.read(prompts, scored);
    if (drawn.length > 0) await this.step(drawn, prompts.length + scored.length > 0);
  }

  /** Slots whose text has ended are given to those that wait, in their order. */
  private admit(): void {
    const over = (text: Text | ScoredText) => text.reader.ended;
    for (let i = this.waiting.length - 1; i >= 0; i--) {
      if (over(this.waiting[i])) this.waiting.splice(i, 1);
    }
    this.slots.forEach((text, slot) => {
      if (text && !over(text)) return;
      const next = this.failure || this.destroyed ? undefined : this.waiting.shift();
      this.slots[slot] = next;
      if (!next) return;
      next.slot = slot;
      if (next instanceof Text) this.engine.begin(slot, next.drawing);
      if (next.saved) this.engine.restore(slot, next.saved);
      next.saved = undefined;
    });
  }

  /** Where others wait, texts that nobody pulls leave their slots; what was read of them is kept elsewhere. */
  private async park(): Promise<void> {
    for (const [slot, text] of this.slots.entries()) {
      if (this.waiting.length === 0) return;
      if (!text?.reader.full) continue;
      await platform.turn(); // who pulls as soon as something comes is not too late
      if (!text.reader.full || text.reader.ended) continue;
      text.saved = await this.engine.save(slot);
      this.slots[slot] = undefined;
      if (!text.reader.ended) this.parked.add(text);
      this.unpark(text);
      this.admit();
    }
  }

  /** One that is pulled again waits for a slot. */
  private unpark(text: Text | ScoredText): void {
    if (!this.parked.has(text) || text.reader.full) return;
    this.parked.delete(text);
    this.waiting.push(text);
  }

  /** A chunk of what is to be read before anything follows. */
  private async read(prompts: readonly Text[], scored: readonly ScoredText[]): Promise<void> {
    const { chunk, tops: most } = this.engine.plan;
    const rows = [];
    const tops: (Top & { place: number })[] = [];
    const whole: Text[] = [];
    for (const text of prompts) {
      const part = text.rows(chunk - rows.length);
      rows.push(...part);
      if (!text.hasRead(part.length)) continue;
      tops.push({ ...text.top(1), place: rows.length - 1 });
      whole.push(text);
    }
    const parts = scored.map((text) => {
      const part = text.rows(Math.min(chunk - rows.length, most - tops.length));
      for (const row of part) {
        tops.push({ ...row, numbers: [], logits: true, place: rows.length });
        rows.push(row);
      }
      return { text, count: part.length };
    });
    const { ids, logits } = await this.engine.read(rows, tops);
    whole.forEach((text, i) => text.take(ids[i], logits[i]));
    let first = whole.length;
    for (const { text, count } of parts) {
      text.take(logits.slice(first, first + count) as Float32Array[]);
      first += count;
    }
  }

  /** @param others whether there are texts that wait for this */
  private async step(texts: readonly Text[], others: boolean): Promise<void> {
    const steps = others || this.waiting.length > 0 ? 1 : this.stepsFor(texts);
    const slides = texts.flatMap((text) => text.slide());
    const tops = texts.map((text) => text.top(steps));
    this.pace.start();
    const { ids, logits } = await this.engine.step(slides, tops);
    this.pace.done(steps);
    texts.forEach((text, i) => text.take(ids[i], logits[i]));
  }

  /** Tokens of each text in one submit. */
  private stepsFor(texts: readonly Text[]): number {
    if (texts.some(({ wantsLogits }) => wantsLogits)) return 1;
    const full = texts.filter(({ fills }) => fills).map(({ room }) => room);
    const longest = Math.max(...texts.map(({ room }) => room));
    return Math.min(this.pace.windowSize, longest, ...full);
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    for (const text of this.all()) text.reader.drop();
    if (!this.running) this.free(); // else once what is on its way has come
  }

  private free(): void {
    this.engine.destroy();
    destroyTensors(this.own);
  }
}

/** The parameters of a decoder with weights of its own. */
export function ownTable(
  layout: ParameterLayout,
  dtype: Config["dtype"],
): (TensorSpec & { name: "weights" | "gains" })[] {
  const weights = { name: "weights", shape: [layout.size], sliced: true } as const;
  if (dtype === "f32") return [weights];
  return [
    { ...weights, dtype },
    { name: "gains", shape: [gainLayout(layout).size], sliced: true },
  ];
}
