// Hands on what is made at one pace and pulled at another: a queue that says when it is full, and has an end.

export class Reader<Item> {
  /** Whether nothing more comes to it. */
  ended = false;
  private readonly most: number;
  private readonly items: Item[] = [];
  private failure: Error | undefined;
  private wake: (() => void) | undefined;

  /** @param most from which on it is full */
  constructor(most: number) {
    this.most = most;
  }

  get full(): boolean {
    return this.items.length >= this.most;
  }

  push(item: Item): void {
    this.items.push(item);
    this.wake?.();
  }

  /** What is in it can still be pulled. */
  end(): void {
    this.ended = true;
    this.wake?.();
  }

  /** Ends it, and whoever pulls is told why. */
  fail(error: Error): void {
    this.failure = error;
    this.drop();
  }

  /** Ends it with what is in it. */
  drop(): void {
    this.items.length = 0;
    this.end();
  }

  /** The next one; undefined at its end. @throws what it failed of */
  async next(): Promise<Item | undefined> {
    while (this.items.length === 0) {
      if (this.failure) throw this.failure;
      if (this.ended) return undefined;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    return this.items.shift();
  }
}
