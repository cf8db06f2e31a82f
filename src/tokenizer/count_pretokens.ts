// How often each pre-token is in a text: all that BPE needs of it.

import { Counts, LIMITS } from "./counts.ts";
import { type BpePattern, certainLength, scans } from "./pretokens.ts";

export class PretokenCounts extends Counts {
  readonly pattern: BpePattern;

  constructor(pattern: BpePattern, limits = LIMITS) {
    super(limits);
    this.pattern = pattern;
  }

  protected certainLength(text: string): number {
    return certainLength(text, this.pattern);
  }

  protected read(text: string): void {
    const scan = scans[this.pattern];
    for (let from = 0; from < text.length;) {
      const end = scan(text, from);
      this.count(text.slice(from, end));
      from = end;
    }
  }
}
