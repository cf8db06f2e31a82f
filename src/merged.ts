// Several async iterables as one: what each gives comes as soon as it is there.

/**
 * The items of all of them; those of one keep their order. Each waits until what it gave is taken, and ends where this
 * one is left.
 * @param leave called then, before they are waited for
 */
export async function* merged<T>(
  sources: readonly AsyncIterable<T>[],
  leave: () => void = () => {},
): AsyncGenerator<T> {
  type Turn = { iterator: AsyncIterator<T>; result?: IteratorResult<T>; error?: unknown };
  const ready: Turn[] = [];
  let wake = () => {};
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const pull = (iterator: AsyncIterator<T>) => {
    const arrive = (turn: Turn) => {
      ready.push(turn);
      wake();
    };
    iterator.next().then(
      (result) => arrive({ iterator, result }),
      (error: unknown) => arrive({ iterator, error }),
    );
  };
  try {
    for (const iterator of iterators) pull(iterator);
    for (let open = iterators.length; open > 0;) {
      if (ready.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      const { iterator, result, error } = ready.shift()!;
      if (!result) throw error;
      if (result.done) {
        open--;
        continue;
      }
      yield result.value;
      pull(iterator);
    }
  } finally {
    leave();
    await Promise.all(iterators.map((iterator) => iterator.return?.())).catch(() => {});
  }
}
