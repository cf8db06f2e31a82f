// The worker's desk: what the page wishes while a model is trained, kept until there is time between two steps.

import type { Wish, WriteRequest } from "./protocol.ts";

/** How the wishes are seen to. */
export interface Clerk {
  save?(): Promise<void>;
  /** Once `signal` is aborted there is a newer request. */
  write(request: WriteRequest, signal: AbortSignal): Promise<void>;
}

export class Desk {
  /** Of the texts in between. */
  temperature = NaN;
  /** Whether the temperature was changed since it was last asked. */
  private changed = false;
  private paused = false;
  private saving = false;
  private writing: WriteRequest | null = null;
  private newer = new AbortController();
  private wake = () => {};

  take(wish: Wish): void {
    if (wish.type === "pause") {
      this.paused = true;
    } else if (wish.type === "resume") {
      this.paused = false;
    } else if (wish.type === "save") {
      this.saving = true;
    } else if (wish.type === "temperature") {
      this.temperature = wish.temperature;
      this.changed = true;
    } else {
      this.writing = wish;
      this.newer.abort();
    }
    this.wake();
  }

  /** Whether a wish waits, and where it is a pause, holds up the run. */
  get busy(): boolean {
    return this.paused || this.saving || this.writing !== null;
  }

  /** True once after each change of the temperature. */
  tellChange(): boolean {
    const { changed } = this;
    this.changed = false;
    return changed;
  }

  /** Sees to every wish, and while the run is paused waits for more. @param always does not return */
  async attend(clerk: Clerk, always = false): Promise<void> {
    for (;;) {
      if (this.saving) {
        this.saving = false;
        await clerk.save?.();
      } else if (this.writing) {
        const request = this.writing;
        this.writing = null;
        this.newer = new AbortController();
        await clerk.write(request, this.newer.signal);
      } else if (this.paused || always) {
        await new Promise<void>((resolve) => (this.wake = resolve));
      } else {
        return;
      }
    }
  }
}
