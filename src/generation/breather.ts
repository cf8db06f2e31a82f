// Long work on the CPU gives the event loop its turn: signals, messages and timers wait no longer than this.

const LONGEST_MS = 30;

export class Breather {
  private since = performance.now();

  /** Lets the event loop run if it has not for a while; call it between pieces of work. */
  async rest(): Promise<void> {
    if (performance.now() - this.since <= LONGEST_MS) return;
    await turn();
    this.since = performance.now();
  }
}

/** One turn of the event loop; a timer would take a millisecond, and four in a browser. */
function turn(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
