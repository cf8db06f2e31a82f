// Lines that cannot be read: the first of them ends the reading, or all are left out and counted.

import { plural } from "../../count.ts";
import { DataError } from "../../errors.ts";

export class BadLines {
  private readonly skips: boolean;
  private readonly needed: string;
  private count = 0;
  private first = "";
  /** Records without a character in them. */
  empty = 0;

  /**
   * @param skips whether they are left out
   * @param needed what each line has to be, as a sentence
   */
  constructor(skips: boolean, needed: string) {
    this.skips = skips;
    this.needed = needed;
  }

  /**
   * @param problem what is wrong with it, as the rest of a sentence: "is no JSON"
   * @throws DataError unless such lines are left out
   */
  add(file: string, line: number, problem: string): void {
    if (this.count === 0) this.first = `line ${line} of ${file} ${problem}`;
    this.count++;
    if (this.skips) return;
    throw new DataError(
      `Line ${line} of ${file} ${problem}. ${this.needed} Mend the line, or have such lines left out and counted with ` +
        `skip_bad_lines (--skip-bad-lines).`,
    );
  }

  get skipped(): string[] {
    const { count, first, empty } = this;
    return [
      ...(count > 0 ? [`${plural(count, "bad line")} (${first})`] : []),
      ...(empty > 0 ? [`${plural(empty, "empty record")}`] : []),
    ];
  }
}
