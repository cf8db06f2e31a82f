// The ids of words that came before, found by their characters where they stand in a text: making strings of them to
// look them up in a Map would take most of the time of encoding.

/** Words at most; the characters and the ids of all of them. Beyond that it begins anew. */
const WORDS = 2 ** 16;
const UNITS = 2 ** 19;
const IDS = 2 ** 18;
/** Twice as many slots as words. */
const MASK = 2 * WORDS - 1;

export class Remembered {
  /** The ids of all words, one after the other. */
  readonly ids = new Int32Array(IDS);
  /** Where the ids of each word begin; those of the next one follow. */
  readonly starts = new Int32Array(WORDS + 1);
  private readonly units = new Uint16Array(UNITS);
  private readonly unitStarts = new Int32Array(WORDS + 1);
  /** 1 + a word at its hash or soon after it; 0 where there is none. */
  private readonly slots = new Int32Array(MASK + 1);
  private words = 0;

  /** The word that is text.slice(from, end); -1 if it was not entered. */
  find(text: string, from: number, end: number): number {
    for (let at = hash(text, from, end); ; at = (at + 1) & MASK) {
      const word = this.slots[at] - 1;
      if (word < 0 || this.is(word, text, from, end)) return word;
    }
  }

  /** Enters text.slice(from, end), which was not found, with the first `length` of `ids`. */
  enter(text: string, from: number, end: number, ids: Int32Array, length: number): void {
    if (this.words === WORDS || !this.hasRoom(end - from, length)) this.clear();
    const word = this.words++;
    let at = hash(text, from, end);
    while (this.slots[at] > 0) at = (at + 1) & MASK;
    this.slots[at] = word + 1;
    const unit = this.unitStarts[word];
    for (let i = from; i < end; i++) this.units[unit + i - from] = text.charCodeAt(i);
    this.unitStarts[word + 1] = unit + end - from;
    const id = this.starts[word];
    for (let i = 0; i < length; i++) this.ids[id + i] = ids[i];
    this.starts[word + 1] = id + length;
  }

  private hasRoom(units: number, ids: number): boolean {
    const { words, unitStarts, starts } = this;
    return unitStarts[words] + units <= UNITS && starts[words] + ids <= IDS;
  }

  private clear(): void {
    this.slots.fill(0);
    this.words = 0;
  }

  private is(word: number, text: string, from: number, end: number): boolean {
    const { units, unitStarts } = this;
    const start = unitStarts[word];
    if (unitStarts[word + 1] - start !== end - from) return false;
    for (let i = from; i < end; i++) {
      if (units[start + i - from] !== text.charCodeAt(i)) return false;
    }
    return true;
  }
}

function hash(text: string, from: number, end: number): number {
  let mixed = 0;
  for (let i = from; i < end; i++) mixed = Math.imul(mixed ^ text.charCodeAt(i), 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) & MASK;
}
