// How often each pre-token is in a text that may be larger than memory: all that training needs of it.

import { type BpePattern, certainLength, scans } from "./pretokens.ts";

/** Different pre-tokens, and UTF-16 code units of all of them, that are kept at most. */
const MOST_KEPT = 2 ** 19;
const MOST_UNITS = 2 ** 22;

/**
 * Takes text as it comes. What is counted depends on the text alone, not on where its pieces end. Beyond half a
 * million different pre-tokens the rarest are forgotten: those seen no more often than `forgotten` times so far.
 */
export class PretokenCounts {
  readonly pattern: BpePattern;
  readonly counts = new Map<string, number>();
  /** 0, or how often what was forgotten had been seen at most. */
  forgotten = 0;
  private readonly limits: { kept: number; units: number };
  private units = 0;
  private pending = "";
  /** Units from which on `pending` is looked at again: a long word is not read once for each piece of it. */
  private patience = 0;

  constructor(pattern: BpePattern, limits = { kept: MOST_KEPT, units: MOST_UNITS }) {
    this.pattern = pattern;
    this.limits = limits;
  }

  /** The next piece of the text. */
  push(piece: string): void {
    this.pending += piece;
    if (this.pending.length < this.patience) return;
    const certain = certainLength(this.pending, this.pattern);
    this.count(this.pending.slice(0, certain));
    this.pending = this.pending.slice(certain);
    this.patience = 2 * this.pending.length;
  }

  /** Ends the text, or a document of it: no pre-token goes on from here to what follows. */
  end(): this {
    this.count(this.pending);
    this.pending = "";
    this.patience = 0;
    return this;
  }

  private count(text: string): void {
    const { counts } = this;
    const scan = scans[this.pattern];
    for (let from = 0; from < text.length;) {
      const end = scan(text, from);
      const pretoken = text.slice(from, end);
      const seen = counts.get(pretoken);
      if (seen === undefined) this.add(pretoken);
      else counts.set(pretoken, seen + 1);
      from = end;
    }
  }

  private add(pretoken: string): void {
    // A slice would keep the whole text alive.
    this.counts.set(` ${pretoken}`.slice(1), 1);
    this.units += pretoken.length;
    const { kept, units } = this.limits;
    while (this.counts.size > kept || this.units > units) this.forget(++this.forgotten);
  }

  private forget(seen: number): void {
    for (const [pretoken, count] of this.counts) {
      if (count > seen) continue;
      this.counts.delete(pretoken);
      this.units -= pretoken.length;
    }
  }
}
