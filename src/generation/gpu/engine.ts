// What the GPU does for texts that are continued: rows in, ids out. Which rows, the decoder says.

import type { Device } from "../../device/device.ts";
import { ReadbackRing } from "../../device/ring.ts";
import { type Dispatch, Schedule } from "../../device/schedule.ts";
import { allocateTensors, destroyTensors, type Tensor } from "../../device/tensors.ts";
import { GpuError } from "../../errors.ts";
import type { ForwardConfig } from "../../model/forward_config.ts";
import type { ParameterLayout } from "../../model/parameters.ts";
import { MOST_STEPS, planTexts, type TextPlan, type TextSizes } from "../../model/text_plan.ts";
import { ROW_FIELDS, SLIDE_FIELDS } from "../../model/text_ops.ts";
import { writeTurns } from "../../model/turns.ts";
import { type SlotText, writeSlot } from "./slot.ts";

/** A token of a text, to be read at a place. */
export interface TextRow {
  slot: number;
  position: number;
  id: number;
}

/** A row that something is to follow. */
export interface Top extends TextRow {
  /** Of [0, 1), one for each token that is drawn after it; none where none is. */
  numbers: readonly number[];
  /** Whether its logits are wanted. */
  logits: boolean;
}

/** What leaves a full slot. */
export interface Slide {
  slot: number;
  kept: number;
  count: number;
}

export interface Made {
  /** Of every top the ids that were drawn. */
  ids: number[][];
  /** Of every top that wanted them, (V). */
  logits: (Float32Array | undefined)[];
}

/** A list for a number of rows, of which fewer may be made. */
interface Sized {
  rows: number;
  schedule: Schedule;
}

export class TextEngine {
  readonly plan: TextPlan;
  private readonly device: Device;
  private readonly layout: ParameterLayout;
  /** Its own, and the parameters. */
  private readonly own: Record<string, Tensor>;
  private readonly tensors: Record<string, Tensor>;
  private readonly schedules: {
    chunk: Sized[];
    rows: Sized[];
    head: Sized[];
    draw: Sized[];
    slide: Sized[];
  };
  private readonly grids = new Map<string, Dispatch["grid"][]>();
  private readonly ring: ReadbackRing;

  private constructor(
    device: Device,
    layout: ParameterLayout,
    plan: TextPlan,
    own: Record<string, Tensor>,
    parameters: Record<string, Tensor>,
    schedules: TextEngine["schedules"],
  ) {
    this.device = device;
    this.layout = layout;
    this.plan = plan;
    this.own = own;
    this.tensors = { ...own, ...parameters };
    this.schedules = schedules;
    this.ring = new ReadbackRing(device, MOST_STEPS * plan.num_slots * 4, 1);
  }

  /**
   * With as many slots as are asked for, or half of them, or a quarter …, for which there is memory.
   * @param parameters weights, and gains, which may be the same; read in place
   * @throws TensorTooLargeError before anything is allocated, GpuError if the memory does not suffice for one slot
   */
  static async create(
    device: Device,
    config: ForwardConfig,
    layout: ParameterLayout,
    parameters: Record<"weights" | "gains", Tensor>,
    sizes: TextSizes,
  ): Promise<TextEngine> {
    for (let { num_slots } = sizes; ; num_slots = Math.floor(num_slots / 2)) {
      const plan = planTexts(device, config, layout, { ...sizes, num_slots });
      try {
        const own: Record<string, Tensor> = await allocateTensors(device, plan.table);
        writeTurns(device, config, layout.dims, own);
        return await TextEngine.fill(device, layout, plan, own, parameters);
      } catch (error) {
        if (num_slots === 1 || !(error instanceof GpuError)) throw error;
      }
    }
  }

  private static async fill(
    device: Device,
    layout: ParameterLayout,
    plan: TextPlan,
    own: Record<string, Tensor>,
    parameters: Record<string, Tensor>,
  ): Promise<TextEngine> {
    const lists = plan.lists({ ...own, ...parameters });
    const sized = (kind: keyof typeof lists, lengths: readonly number[]) =>
      Promise.all(
        lengths.map(async (rows): Promise<Sized> => {
          return { rows, schedule: await Schedule.create(device, lists[kind](rows)) };
        }),
      );
    const schedules = {
      chunk: await sized("chunk", [plan.chunk]),
      rows: await sized("rows", plan.row_lists),
      head: await sized("head", plan.head_lists),
      draw: await sized("draw", [plan.num_slots]),
      slide: plan.slides ? await sized("slide", [plan.num_slots]) : [],
    };
    return new TextEngine(device, layout, plan, own, parameters, schedules);
  }

  /** Says how a slot's next text is drawn. */
  begin(slot: number, text: SlotText): void {
    writeSlot(this.device, this.tensors, slot, this.layout.dims.V, text);
  }

  /** Keys and values of a slot, to be put back later, in this slot or another. */
  async save(slot: number): Promise<ArrayBuffer> {
    const { gpu } = this.device;
    const parts = this.cacheOf(slot);
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    const { COPY_DST, MAP_READ } = GPUBufferUsage;
    const staging = gpu.createBuffer({ label: "a slot", size, usage: COPY_DST | MAP_READ });
    const encoder = gpu.createCommandEncoder();
    let at = 0;
    for (const { buffer, offset, size } of parts) {
      encoder.copyBufferToBuffer(buffer, offset, staging, at, size);
      at += size;
    }
    gpu.queue.submit([encoder.finish()]);
    try {
      return await this.device.map(staging);
    } finally {
      staging.destroy();
    }
  }

  /** Puts back what save() gave. */
  restore(slot: number, saved: ArrayBuffer): void {
    let at = 0;
    for (const { buffer, offset, size } of this.cacheOf(slot)) {
      this.device.gpu.queue.writeBuffer(buffer, offset, saved, at, size);
      at += size;
    }
  }

  /** Where a slot's keys and values lie. */
  private cacheOf(slot: number): Pick<Tensor, "buffer" | "offset" | "size">[] {
    return this.plan.cached.map((name) => {
      const { buffer, offset, size: all } = this.tensors[name];
      const size = all / this.plan.num_slots;
      return { buffer, offset: offset + slot * size, size };
    });
  }

  /**
   * Reads rows of prompts.
   * @param rows plan.chunk of them at most
   * @param tops those that something is to follow, by their places among the rows; one token is drawn at most
   */
  async read(rows: readonly TextRow[], tops: readonly (Top & { place: number })[]): Promise<Made> {
    const { tensors: t } = this;
    const encoder = this.device.gpu.createCommandEncoder();
    this.write(t.chunk_rows, rows);
    this.encode(encoder, "chunk", rows.length);
    const line = this.layout.dims.C * 4;
    tops.forEach(({ place }, i) => {
      encoder.copyBufferToBuffer(t.x.buffer, place * line, t.tops.buffer, i * line, line);
    });
    return this.follow(encoder, tops, 1, false);
  }

  /**
   * Reads a row of each of some texts, and as many more as there are numbers for.
   * @param slides what is to leave their slots before
   */
  async step(slides: readonly Slide[], tops: readonly Top[]): Promise<Made> {
    const encoder = this.device.gpu.createCommandEncoder();
    if (slides.length > 0) {
      // The last workgroup may look at those behind, too: they are of no position.
      const table = new Uint32Array(this.plan.num_slots * SLIDE_FIELDS);
      slides.forEach(({ slot, kept, count }, i) =>
        table.set([slot, kept, count], i * SLIDE_FIELDS),
      );
      this.device.gpu.queue.writeBuffer(this.tensors.slides.buffer, 0, table);
      this.encode(encoder, "slide", slides.length);
    }
    return this.follow(encoder, tops, tops[0].numbers.length, true);
  }

  /** What follows the tops. Those that are drawn for come first. */
  private async follow(
    encoder: GPUCommandEncoder,
    tops: readonly Top[],
    steps: number,
    reads: boolean,
  ): Promise<Made> {
    const { device, tensors: t } = this;
    const { num_slots } = this.plan;
    const { gpu } = device;
    const N = tops.length;
    const drawn = tops.filter(({ numbers }) => numbers.length > 0).length;
    this.write(t.rows, tops);
    if (drawn > 0) {
      const numbers = new Float32Array(steps * num_slots);
      for (const top of tops) {
        top.numbers.forEach((number, step) => (numbers[step * num_slots + top.slot] = number));
      }
      gpu.queue.writeBuffer(t.numbers.buffer, 0, numbers);
    }
    const wanted = tops.flatMap(({ logits }, i) => (logits ? [i] : []));
    const line = this.layout.dims.V * 4;
    const staging =
      wanted.length > 0
        ? gpu.createBuffer({
            label: "logits to read",
            size: wanted.length * line,
            usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
          })
        : undefined;
    try {
      for (let step = 0; step < steps && N > 0; step++) {
        if (reads) this.encode(encoder, "rows", N);
        this.encode(encoder, "head", N);
        wanted.forEach((row, i) => {
          encoder.copyBufferToBuffer(t.logits.buffer, row * line, staging!, i * line, line);
        });
        if (drawn > 0) this.encode(encoder, "draw", drawn);
      }
      const ids = this.ring.copy(encoder, t.ids.buffer, 0, steps * num_slots * 4);
      gpu.queue.submit([encoder.finish()]);
      const found = new Int32Array(await ids());
      const values = staging && new Float32Array(await device.map(staging));
      const V = this.layout.dims.V;
      const logits: Made["logits"] = tops.map(() => undefined);
      wanted.forEach((row, i) => (logits[row] = values!.subarray(i * V, (i + 1) * V)));
      return {
        ids: tops.map(({ slot, numbers }) =>
          numbers.map((_, step) => found[step * num_slots + slot]),
        ),
        logits,
      };
    } finally {
      staging?.destroy();
    }
  }

  /** Records a list for some rows: the shortest that has as many, and of that no more. */
  private encode(
    encoder: GPUCommandEncoder,
    kind: keyof TextEngine["schedules"],
    rows: number,
  ): void {
    const { schedule } = this.schedules[kind].find((sized) => sized.rows >= rows)!;
    const key = `${kind} ${rows}`;
    let grids = this.grids.get(key);
    if (!grids) {
      grids = this.plan
        .lists(this.tensors)
        [kind](rows)
        .map(({ grid }) => grid);
      this.grids.set(key, grids);
    }
    schedule.encode(encoder, undefined, grids);
  }

  private write(tensor: Tensor, rows: readonly TextRow[]): void {
    if (rows.length === 0) return;
    const table = new Uint32Array(rows.length * ROW_FIELDS);
    rows.forEach(({ slot, position, id }, n) => table.set([slot, position, id], n * ROW_FIELDS));
    this.device.gpu.queue.writeBuffer(tensor.buffer, tensor.offset, table);
  }

  destroy(): void {
    for (const { schedule } of Object.values(this.schedules).flat()) schedule.destroy();
    this.ring.destroy();
    destroyTensors(this.own);
  }
}
