// How far a download is, or a pipe: a line that is written over on a terminal, one now and then elsewhere.

import { bytes } from "../format.ts";
import type { Output } from "../run.ts";

/** Time between two lines, on a terminal and elsewhere, in ms. */
const [OFTEN_MS, SELDOM_MS] = [100, 10_000];
const ERASE_LINE = "\r\x1b[K";

export class DownloadLine {
  private readonly out: Output;
  private readonly what: string;
  private shownAt = performance.now();
  private live = false;

  constructor(out: Output, label: string, verb = "fetching") {
    this.out = out;
    this.what = `${verb} ${label}`;
  }

  show(got: number, total: number | null): void {
    const { out, what } = this;
    const now = performance.now();
    if (now - this.shownAt < (out.isTTY ? OFTEN_MS : SELDOM_MS)) return;
    this.shownAt = now;
    const of = total === null ? "" : ` of ${bytes(total)}`;
    const text = `${what}: ${bytes(got)}${of}`;
    out.write(out.isTTY ? ERASE_LINE + text.slice(0, (out.columns || 80) - 1) : `${text}\n`);
    this.live = true;
  }

  /** Leaves no line behind. */
  end(): void {
    if (this.live && this.out.isTTY) this.out.write(ERASE_LINE);
  }
}
