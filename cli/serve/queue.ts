// Texts take turns: so many are written at once, and each turn goes to the request that has the fewest now, and has had
// the fewest. So many requests more may wait for their first one; others are told to come back later.

import { plural } from "../../src/count.ts";
import { Problem } from "./problem.ts";

/** How fast the mean of what requests take follows the last ones. */
const NEWEST = 0.2;
/** Seconds after which whoever is told to come back should try again, at most. */
const LONGEST = 60;

export class Queue {
  /** Texts that are written at once. */
  readonly slots: number;
  /** Requests that wait. */
  private readonly most: number;
  /** In the order in which they came. */
  private readonly places = new Set<Place>();
  private turns = 0;
  /** Seconds that a request takes from its first turn on, in the mean of the last ones. */
  private seconds = 1;

  constructor(slots: number, most: number) {
    this.slots = slots;
    this.most = most;
  }

  /** Texts that are being written. */
  get running(): number {
    return this.turns;
  }

  /** Requests that no text has been begun for. */
  get waiting(): number {
    let waiting = 0;
    for (const { began } of this.places) if (began === undefined) waiting++;
    return waiting;
  }

  /**
   * A place for a request, which has to leave it.
   * @throws Problem with status 503 if all are taken
   */
  take(): Place {
    const { slots, most, turns, waiting } = this;
    if (waiting >= most + Math.max(0, slots - turns)) {
      throw Problem.busy(
        `The server is busy: it writes ${plural(turns, "text")}, and ${plural(waiting, "request")} wait. Come back later.`,
        Math.min(LONGEST, (this.seconds * (waiting + 1)) / slots),
      );
    }
    const place = new Place({
      next: () => this.next(),
      end: () => {
        this.turns--;
        this.next();
      },
      leave: () => this.leave(place),
    });
    this.places.add(place);
    return place;
  }

  private next(): void {
    while (this.turns < this.slots) {
      let next: Place | undefined;
      for (const place of this.places) if (place.wants && isBefore(place, next)) next = place;
      if (next === undefined) return;
      this.turns++;
      next.begin();
    }
  }

  private leave(place: Place): void {
    if (!this.places.delete(place)) return;
    this.turns -= place.running;
    if (place.began !== undefined) {
      this.seconds += NEWEST * ((performance.now() - place.began) / 1000 - this.seconds);
    }
    this.next();
  }
}

/** Of two that are alike, the one that came first. */
function isBefore(place: Place, other: Place | undefined): boolean {
  if (other === undefined) return true;
  if (place.running !== other.running) return place.running < other.running;
  return place.had < other.had;
}

interface Doors {
  next(): void;
  end(): void;
  leave(): void;
}

/** What a request has of the queue, from when it comes until its answer is whole. */
export class Place {
  private readonly doors: Doors;
  private readonly line: (() => void)[] = [];
  private left = false;
  /** Its texts that are being written. */
  running = 0;
  /** Turns that it has had. */
  had = 0;
  /** When its first text was begun, in ms. */
  began: number | undefined;

  constructor(doors: Doors) {
    this.doors = doors;
  }

  /** Whether it has a text that waits for its turn. */
  get wants(): boolean {
    return this.line.length > 0;
  }

  /**
   * Waits for a text's turn.
   * @returns what ends the turn
   * @throws the signal's reason if that comes first
   */
  turn(signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const abort = () => {
        this.line.splice(this.line.indexOf(begin), 1);
        reject(signal.reason);
      };
      const begin = () => {
        signal.removeEventListener("abort", abort);
        resolve(() => this.end());
      };
      signal.addEventListener("abort", abort, { once: true });
      this.line.push(begin);
      this.doors.next();
    });
  }

  /** Called by the queue: the text that has waited for longest has its turn. */
  begin(): void {
    this.running++;
    this.had++;
    this.began ??= performance.now();
    this.line.shift()!();
  }

  private end(): void {
    if (this.left) return; // and all its turns with it
    this.running--;
    this.doors.end();
  }

  /** Gives the place to others, and its turns; more than once is as once. */
  leave(): void {
    if (this.left) return;
    this.left = true;
    this.doors.leave();
  }
}
