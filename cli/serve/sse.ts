// Server-sent events: no faster than they are read, with a sign of life where nothing happens for long.

export interface ServerEvent {
  /** Its name, where the API has names for them. */
  name?: string;
  data: string;
}

export interface Streaming {
  /** ms of silence after which a comment is sent, so that nobody between takes the connection for dead. */
  keep_alive_ms: number;
  /** ms that a reader may let what was sent lie. */
  stall_ms: number;
  /** Called where it lets it lie for longer: it is to be given up. */
  stalled(): void;
  /** Called where nobody reads any more. */
  gone(): void;
}

export const SSE_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/event-stream; charset=utf-8",
  "x-accel-buffering": "no", // or nginx would keep them until it has many
};

/** An event is asked for once the socket has room for it: what waits meanwhile is one event, and the socket's buffer. */
export function eventStream(
  events: AsyncIterator<ServerEvent>,
  { keep_alive_ms, stall_ms, stalled, gone }: Streaming,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let next: Promise<IteratorResult<ServerEvent>> | undefined;
  let unread: NodeJS.Timeout | undefined;
  let over = false;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(unread);
        next ??= events.next();
        const result = await within(next, keep_alive_ms);
        if (over) return;
        if (result === undefined) controller.enqueue(encoder.encode(": still at it\n\n"));
        else if (result.done) {
          controller.close();
          return;
        } else {
          next = undefined;
          controller.enqueue(encoder.encode(eventText(result.value)));
        }
        unread = setTimeout(stalled, stall_ms).unref();
      },
      async cancel() {
        over = true;
        clearTimeout(unread);
        gone();
        await events.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}

function eventText({ name, data }: ServerEvent): string {
  return `${name === undefined ? "" : `event: ${name}\n`}data: ${data}\n\n`;
}

/** Undefined if it takes longer. */
async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
