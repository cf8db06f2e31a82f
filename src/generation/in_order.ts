// Texts that come about at the same time and are told one after the other: what comes of later ones waits.

/** The events of one of them, until its turn comes. */
class Ahead<T> {
  readonly events: T[] = [];
  /** Once it has ended, whether it came to its own end. */
  whole: boolean | undefined;
  private readonly source: AsyncGenerator<T, boolean>;
  private pending = false;
  private failure: { error: unknown } | undefined;
  private tell = () => {};

  constructor(source: AsyncGenerator<T, boolean>) {
    this.source = source;
  }

  /**
   * Asks for what comes next of it.
   * @param tell called once it is there, in place of what was given before
   * @throws what the text has failed with
   */
  pull(tell: () => void): void {
    this.tell = tell;
    if (this.failure) throw this.failure.error;
    if (this.pending) return;
    this.pending = true;
    this.source.next().then(
      ({ done, value }) => {
        this.pending = false;
        if (done) this.whole = value;
        else this.events.push(value);
        this.tell();
      },
      (error: unknown) => {
        this.failure = { error };
        this.tell();
      },
    );
  }

  async return(): Promise<void> {
    await this.source.return(false);
  }
}

/** Waits for what comes next of any of them. */
function soonest<T>(texts: readonly Ahead<T>[]): Promise<void> {
  return new Promise((resolve) => texts.forEach((text) => text.pull(resolve)));
}

/**
 * The events of `count` texts, all of one before those of the next, up to the first that was given up. Nothing is done
 * but where an event is waited for.
 * @param together texts that come about at the same time, at most
 * @param begin the events of a text, from 0, and in the end whether it is whole; the signal tells that it is not wanted
 */
export async function* inOrder<T>(
  count: number,
  together: number,
  begin: (index: number, unwanted: AbortSignal) => AsyncGenerator<T, boolean>,
): AsyncGenerator<T> {
  const stop = new AbortController();
  const texts: Ahead<T>[] = []; // from the one that is told on
  let begun = 0;
  try {
    for (;;) {
      let open = texts.filter(({ whole }) => whole === undefined);
      while (begun < count && open.length < together) {
        texts.push(new Ahead(begin(begun++, stop.signal)));
        open = [...open, texts.at(-1)!];
      }
      const [first] = texts;
      if (first === undefined) return;
      const event = first.events.shift();
      if (event !== undefined) yield event;
      else if (first.whole === undefined) await soonest(open);
      else if (first.whole) texts.shift();
      else return;
    }
  } finally {
    stop.abort();
    await Promise.all(texts.map((text) => text.return()));
  }
}
