// A text that the GPU continues: what the model sees of it, what of that is read, and what was drawn but not yet pulled.

import type { Dims } from "../../model/parameters.ts";
import type { PythonRandom } from "../../random.ts";
import type { Continuation, DecodedToken } from "../decoder.ts";
import { nextProbabilities } from "../probabilities.ts";
import { type Context, droppedOf, windowOf } from "../window.ts";
import type { Slide, TextRow, Top } from "./engine.ts";
import { Reader } from "./reader.ts";
import { fitsSlot, type SlotText } from "./slot.ts";

/** Tokens that are drawn ahead of those that are pulled, and bytes of their logits, which are kept with them. */
const AHEAD = 64;
const AHEAD_BYTES = 2 ** 20;

export class Text {
  readonly continuation: Continuation;
  readonly reader: Reader<DecodedToken>;
  /** Its place on the GPU; and what was in it where it had to leave it. */
  slot: number | undefined;
  saved: ArrayBuffer | undefined;
  private readonly context: Context;
  private readonly slides: boolean;
  /** Of what it has what the model sees, and how many of that are read. */
  private readonly window: number[];
  private read = 0;
  /** Tokens that it has, and those of them that have left the context. */
  private length: number;
  private dropped: number;
  /** Whether what is not read is read as a prompt is: many rows at a time. */
  private prompted: boolean;
  private pending: { kept: number; count: number } | undefined;
  private drawn = 0;
  /** Draws as the text's own will have drawn when the tokens are pulled. */
  private readonly ahead: PythonRandom;
  /** Ids that it has, for the repetition penalty. */
  private readonly seen: Set<number>;
  /** Whether the GPU has room for what it is drawn by; else it is drawn here. */
  private readonly fits: boolean;

  /** @param slides whether a full context slides on the GPU; else what is left is read anew */
  constructor(
    continuation: Continuation,
    { T: block_size, V }: Pick<Dims, "T" | "V">,
    slides: boolean,
  ) {
    const { tokens, keeps_first, random, seen } = continuation;
    this.continuation = continuation;
    const kept = Math.max(1, Math.floor(AHEAD_BYTES / 4 / V));
    this.reader = new Reader(continuation.logits ? Math.min(kept, AHEAD) : AHEAD);
    this.context = { block_size, keeps_first };
    this.slides = slides;
    this.window = [...windowOf(tokens, this.context)];
    this.length = tokens.length;
    this.dropped = droppedOf(this.length, this.context);
    this.prompted = this.window.length > 1;
    this.ahead = random.clone();
    this.seen = new Set(seen);
    this.fits = fitsSlot(continuation);
  }

  /** How it is drawn from here on. */
  get drawing(): SlotText {
    return { ...this.continuation, seen: this.seen };
  }

  /** Whether many of its rows are to be read before something follows. */
  get reads(): boolean {
    return this.prompted;
  }

  /** Whether its logits are wanted: by who pulls them, or to draw by. */
  get wantsLogits(): boolean {
    return this.continuation.logits || !this.fits;
  }

  /** Rows that are to be read next, `most` of them at most. */
  rows(most: number): TextRow[] {
    const { read, window, slot } = this;
    return window
      .slice(read, read + most)
      .map((id, i) => ({ slot: slot!, position: read + i, id }));
  }

  /** Says that so many of them were, as prompts are. @returns whether nothing is left to be read */
  hasRead(count: number): boolean {
    this.read += count;
    this.prompted = this.read < this.window.length;
    return !this.prompted;
  }

  /** Tokens that may be drawn one after the other before something leaves the context, or the text ends. */
  get room(): number {
    const { max_tokens } = this.continuation;
    return Math.min(this.context.block_size - this.window.length + 1, max_tokens - this.drawn);
  }

  /** Whether the context is what ends its room. */
  get fills(): boolean {
    return this.room < this.continuation.max_tokens - this.drawn;
  }

  /** What is to leave its slot before the next row is read. */
  slide(): Slide[] {
    const { pending, slot } = this;
    this.pending = undefined;
    return pending ? [{ slot: slot!, ...pending }] : [];
  }

  /** The row whose logits tell the next token, the last of its window. */
  top(steps: number): Top {
    const { window, slot, ahead, fits } = this;
    const position = window.length - 1;
    const numbers = Array.from({ length: steps }, () => (fits ? ahead.random() : 0));
    return { slot: slot!, position, id: window[position], numbers, logits: this.wantsLogits };
  }

  /** Takes what was drawn after its last row, which is read by now, and after those that came of it. */
  take(ids: readonly number[], logits: Float32Array | undefined): void {
    for (const drawn of ids) {
      if (this.reader.ended) return; // what came after its end does not count
      const id = this.fits ? drawn : this.draw(logits!);
      this.seen.add(id);
      this.read = this.window.length;
      this.append(id);
      this.reader.push(this.continuation.logits ? { id, logits } : { id });
      this.drawn++;
      const { ends, max_tokens } = this.continuation;
      if (ends.includes(id) || this.drawn === max_tokens) this.reader.end();
    }
  }

  private draw(logits: Float32Array): number {
    const { continuation, seen, ahead } = this;
    const { never } = continuation;
    return ahead.choice(nextProbabilities(logits, continuation, { never, seen }));
  }

  /** A token more; where the context is full, room is made. */
  private append(id: number): void {
    const { context, window } = this;
    window.push(id);
    this.length++;
    const dropped = droppedOf(this.length, context);
    const count = dropped - this.dropped;
    this.dropped = dropped;
    if (count === 0) return;
    const kept = Number(context.keeps_first);
    window.splice(kept, count);
    if (this.slides && this.read >= kept + count) {
      this.pending = { kept, count };
      this.read -= count;
    } else {
      this.read = Math.min(kept, window.length - 1);
      this.prompted = window.length - this.read > 1;
    }
  }
}
