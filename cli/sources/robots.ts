// robots.txt: what a site asks programs to leave alone is left alone.

import { setTimeout } from "node:timers/promises";
import robotsParser, { type Robot } from "robots-parser";
import { DataError } from "../../src/errors.ts";
import { type Fetching, fetchUrl, StatusError } from "./fetch.ts";

/** Of the file itself; of a longer one the beginning counts. */
const LIMITS = { bytes: 2 ** 19, idle_ms: 10_000, total_ms: 20_000 };
/** A longer pause between two pages than that no site is given. */
const MOST_DELAY_S = 10;

export class Robots {
  private readonly fetching: Fetching;
  private readonly name: string;
  private readonly known = new Map<string, Promise<Robot>>();
  private readonly last = new Map<string, number>();

  /** @param name by which the file may call us */
  constructor(fetching: Fetching, name: string) {
    this.fetching = fetching;
    this.name = name;
  }

  /**
   * Waits for as long as the site asks for between two pages.
   * @throws DataError if it asks not to be fetched, or cannot be asked
   */
  async permit(url: URL): Promise<void> {
    const { origin, href } = url;
    if (!this.known.has(origin)) this.known.set(origin, this.read(origin));
    const robot = await this.known.get(origin)!;
    if (robot.isAllowed(href, this.name) === false) {
      throw new DataError(
        `${href} is not fetched: ${origin}/robots.txt asks programs to leave it alone. Save the page in a browser, if its ` +
          `terms allow that, and give the file.`,
      );
    }
    const delay = Math.min(robot.getCrawlDelay(this.name) ?? 0, MOST_DELAY_S) * 1000;
    const wait = (this.last.get(origin) ?? -Infinity) + delay - performance.now();
    if (wait > 0) await setTimeout(wait, undefined, { signal: this.fetching.signal });
    this.last.set(origin, performance.now());
  }

  /** Where its server says that there is none, all may be fetched; where it cannot be had, nothing. */
  private async read(origin: string): Promise<Robot> {
    const parts: Uint8Array[] = [];
    const limits = { ...LIMITS, bytes: LIMITS.bytes + 1 };
    const more = { limits, cuts: true, progress: undefined, permit: undefined, room: undefined };
    const url = new URL("/robots.txt", origin);
    try {
      await fetchUrl(url, { ...this.fetching, ...more }, (bytes) => void parts.push(bytes));
    } catch (error) {
      if (!(error instanceof StatusError) || error.status >= 500) throw error;
    }
    return robotsParser(url.href, wholeLines(Buffer.concat(parts)));
  }
}

/** Of a longer file its beginning, without the line that it would be cut in. */
function wholeLines(bytes: Buffer): string {
  if (bytes.length <= LIMITS.bytes) return bytes.toString("utf8");
  const text = bytes.subarray(0, LIMITS.bytes).toString("utf8");
  return text.slice(0, Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r")) + 1);
}
