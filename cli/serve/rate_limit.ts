// How many requests a client may make: a bucket of tokens for each, which fills again with time.

import { isIP } from "node:net";
import { Problem } from "./problem.ts";

/** Clients that are remembered at most; of more, those are forgotten that were seen longest ago. */
const MOST_CLIENTS = 10_000;

interface Bucket {
  tokens: number;
  /** When it had so many, in ms. */
  at: number;
}

export class RateLimit {
  private readonly perMinute: number;
  private readonly now: () => number;
  private readonly buckets = new Map<string, Bucket>();

  /** @param perMinute 0 for no limit */
  constructor(perMinute: number, now = () => performance.now()) {
    this.perMinute = perMinute;
    this.now = now;
  }

  /** @throws Problem with status 429 if the client has made too many */
  take(client: string): void {
    const { perMinute, buckets } = this;
    if (perMinute === 0) return;
    const at = this.now();
    const before = buckets.get(client) ?? { tokens: perMinute, at };
    const filled = before.tokens + ((at - before.at) * perMinute) / 60_000;
    const tokens = Math.min(perMinute, filled);
    const allowed = tokens >= 1;
    buckets.delete(client); // so that it comes to be the last
    buckets.set(client, { tokens: allowed ? tokens - 1 : tokens, at });
    if (buckets.size > MOST_CLIENTS) buckets.delete(buckets.keys().next().value!);
    if (allowed) return;
    const seconds = ((1 - tokens) * 60) / perMinute;
    throw Problem.busy(
      `A client may make ${perMinute} requests a minute here; come back in ${Math.ceil(seconds)} s.`,
      seconds,
      429,
    );
  }
}

/**
 * Who sent a request, so that one has one name: of IPv6 the network, for whoever has one address of it has them all.
 * @param forwarded X-Forwarded-For, where the proxy that adds to it is trusted
 */
export function clientOf(address: string | undefined, forwarded?: string): string {
  const named = forwarded?.split(",").at(-1)!.trim();
  const ip = named !== undefined && isIP(named) > 0 ? named : (address ?? "unknown");
  if (isIP(ip) !== 6) return ip;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip);
  return mapped?.[1] ?? networkOf(ip);
}

/** The first 64 bits of an IPv6 address, however it is written. */
function networkOf(ip: string): string {
  const [head, tail] = ip.replace(/%.*$/, "").split("::");
  const first = head === "" ? [] : head.split(":");
  const last = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length);
  const words = [...first, ...Array<string>(zeros).fill("0"), ...last].slice(0, 4);
  return `${words.map((word) => Number.parseInt(word, 16).toString(16)).join(":")}::/64`;
}
