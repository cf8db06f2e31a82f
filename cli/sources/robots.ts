// robots.txt: what a site asks programs to leave alone is left alone.

import { setTimeout } from "node:timers/promises";
import robotsParser, { type Robot } from "robots-parser";
import { DataError } from "../../src/errors.ts";
import { type Fetching, fetchUrl, StatusError } from "./fetch.ts";

/** Of the file itself. */
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
   * @throws DataError if it asks not to be fetched
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
    if (wait > 0) await setTimeout(wait);
    this.last.set(origin, performance.now());
  }

  /** Where there is none, all may be fetched; where its server fails, nothing. */
  private async read(origin: string): Promise<Robot> {
    const parts: Uint8Array[] = [];
    const fetching = { ...this.fetching, limits: LIMITS, progress: undefined, permit: undefined };
    try {
      await fetchUrl(new URL("/robots.txt", origin), fetching, (bytes) => void parts.push(bytes));
    } catch (error) {
      if (error instanceof StatusError && error.status >= 500) throw error;
      parts.length = 0; // what else is wrong, the page itself will tell
    }
    return robotsParser(`${origin}/robots.txt`, Buffer.concat(parts).toString("utf8"));
  }
}
