// A text that ends before one of some strings: what may be the beginning of one waits for what comes next.

export class StopStrings {
  private readonly strings: readonly string[];
  private held = "";
  /** Whether one of them was found: the text has ended. */
  found = false;

  /** @param strings none of them empty */
  constructor(strings: readonly string[]) {
    this.strings = strings;
  }

  /** The text that belongs to what is kept for certain; nothing any more once a string was found. */
  push(text: string): string {
    if (this.found) return "";
    const all = this.held + text;
    const places = this.strings.map((string) => all.indexOf(string)).filter((at) => at >= 0);
    this.found = places.length > 0;
    const kept = this.found ? Math.min(...places) : all.length - this.unsure(all);
    this.held = this.found ? "" : all.slice(kept);
    return all.slice(0, kept);
  }

  /** The text that was waiting, where no more comes. */
  end(): string {
    const { held } = this;
    this.held = "";
    return held;
  }

  /** Length of the longest end of a text that one of the strings begins with. */
  private unsure(text: string): number {
    const longest = Math.max(0, ...this.strings.map(({ length }) => length - 1));
    for (let length = Math.min(longest, text.length); length > 0; length--) {
      const end = text.slice(text.length - length);
      if (this.strings.some((string) => string.startsWith(end))) return length;
    }
    return 0;
  }
}
