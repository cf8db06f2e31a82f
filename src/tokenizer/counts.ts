// How often each pre-token or word is in a text that may be larger than memory: all that training needs of it.

/** Different ones, and UTF-16 code units of all of them, that are kept at most. */
export const LIMITS = { kept: 2 ** 19, units: 2 ** 22 };

/**
 * Takes text as it comes. What is counted depends on the text alone, not on where its pieces end. Beyond half a
 * million different ones the rarest are forgotten: those seen no more often than `forgotten` times so far.
 */
export abstract class Counts {
  readonly counts = new Map<string, number>();
  /** How many were counted, forgotten ones included. */
  total = 0;
  /** 0, or how often what was forgotten had been seen at most. */
  forgotten = 0;
  private readonly limits: typeof LIMITS;
  private units = 0;
  private pending = "";
  /** Units from which on `pending` is looked at again: a long word is not read once for each piece of it. */
  private patience = 0;

  constructor(limits = LIMITS) {
    this.limits = limits;
  }

  /** How much of a text is cut the same whatever follows. */
  protected abstract certainLength(text: string): number;

  /** Counts what a text is cut into. */
  protected abstract read(text: string): void;

  /** The next piece of the text. */
  push(piece: string): void {
    this.pending += piece;
    if (this.pending.length < this.patience) return;
    const certain = this.certainLength(this.pending);
    this.read(this.pending.slice(0, certain));
    this.pending = this.pending.slice(certain);
    this.patience = 2 * this.pending.length;
  }

  /** Ends the text, or a document of it: nothing goes on from here to what follows. */
  end(): this {
    this.read(this.pending);
    this.pending = "";
    this.patience = 0;
    return this;
  }

  protected count(part: string): void {
    this.total++;
    const seen = this.counts.get(part);
    if (seen === undefined) this.add(part);
    else this.counts.set(part, seen + 1);
  }

  private add(part: string): void {
    // A slice would keep the whole text alive.
    this.counts.set(` ${part}`.slice(1), 1);
    this.units += part.length;
    const { kept, units } = this.limits;
    while (this.counts.size > kept || this.units > units) this.forget(++this.forgotten);
  }

  private forget(seen: number): void {
    for (const [part, count] of this.counts) {
      if (count > seen) continue;
      this.counts.delete(part);
      this.units -= part.length;
    }
  }
}
