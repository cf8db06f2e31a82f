// Waiting for what tells nobody when it comes.

const OFTEN_MS = 20;

/** Waits until the condition holds, for so many ms at most. */
export async function until(condition: () => boolean, ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (!condition() && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, OFTEN_MS));
  }
}
