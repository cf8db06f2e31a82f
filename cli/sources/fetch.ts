// Fetches a URL: bounded in size and time, from public addresses alone, whichever way it is redirected.

import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { createGunzip } from "node:zlib";
import { DataError, UserError } from "../../src/errors.ts";
import { bytes as bytesText } from "../format.ts";
import { duration } from "../../src/duration.ts";
import { checkHost, publicLookup } from "./addresses.ts";

export interface Limits {
  /** Of what is fetched, unpacked. */
  bytes: number;
  /** Longest wait for anything to come, and for all of it, in ms. */
  idle_ms: number;
  total_ms: number;
}

export const usualLimits: Limits = { bytes: 2 ** 33, idle_ms: 30_000, total_ms: 4 * 3_600_000 };

export interface Fetching {
  allowPrivate: boolean;
  /** Who asks. */
  agent: string;
  limits: Limits;
  /** Told how far it is; total is null where nobody knows. */
  progress?: (got: number, total: number | null) => void;
  /** Asked before each address is fetched. Throws where it must not be. */
  permit?: (url: URL) => Promise<void>;
  /** Gives it up. */
  signal?: AbortSignal;
  /** Whether of what is longer the beginning is taken, and it is not refused. */
  cuts?: boolean;
  /** Asked before anything of a body is taken: how many bytes of it at most. Throws where it is of no use. */
  room?: (found: Fetched) => number;
}

export interface Fetched {
  /** Where it was at last. */
  url: URL;
  /** As `text/html`; empty where nobody said. */
  type: string;
  /** As `utf-8`; null where nobody said. */
  charset: string | null;
}

const MOST_REDIRECTS = 5;

const OTHERWISE = "Try it again later, or fetch it with another program and give the file.";

/** A status other than 200. */
export class StatusError extends DataError {
  readonly status: number;
  constructor(url: URL, status: number, words: string | undefined) {
    super(
      `${url.href} cannot be had: its server answers ${status}${words ? ` (${words})` : ""}. Look at it in a browser.`,
    );
    this.status = status;
  }
}

/**
 * @param take is given the bytes as they come
 * @throws DataError if they cannot be had, or must not
 * @throws the reason of `signal` once that is aborted
 */
export async function fetchUrl(
  from: URL,
  fetching: Fetching,
  take: (bytes: Uint8Array) => Promise<void> | void,
): Promise<Fetched> {
  const late = AbortSignal.timeout(fetching.limits.total_ms);
  const signal = AbortSignal.any([late, ...(fetching.signal ? [fetching.signal] : [])]);
  let url = from;
  try {
    for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
      checkHost(url, fetching.allowPrivate);
      await fetching.permit?.(url);
      const response = await request(url, fetching, signal);
      const { statusCode = 0, statusMessage, headers } = response;
      if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
        response.destroy();
        url = nextUrl(url, headers.location);
        continue;
      }
      if (statusCode !== 200) {
        response.destroy();
        throw new StatusError(url, statusCode, statusMessage);
      }
      const found = { url, ...typeOf(headers["content-type"]) };
      try {
        const bytes = Math.min(fetching.limits.bytes, fetching.room?.(found) ?? Infinity);
        await takeBody(url, response, { ...fetching, limits: { ...fetching.limits, bytes } }, take);
      } finally {
        response.destroy();
      }
      return found;
    }
  } catch (error) {
    fetching.signal?.throwIfAborted();
    if (error instanceof UserError) throw error;
    throw new DataError(
      late.aborted
        ? `${url.href} took longer than ${duration(fetching.limits.total_ms / 1000)}, and was given up. ${OTHERWISE}`
        : `${url.href} cannot be fetched: ${networkReason(error)}. ${OTHERWISE}`,
    );
  }
  throw new DataError(
    `${from.href} is redirected more than ${MOST_REDIRECTS} times, and was given up. Look at it in a browser, and give the ` +
      `URL at which it ends.`,
  );
}

/** @throws DataError if it must not be followed */
export function nextUrl(url: URL, location: string): URL {
  const next = URL.canParse(location, url) ? new URL(location, url) : null;
  if (next === null || !/^https?:$/.test(next.protocol)) {
    throw new DataError(
      `${url.href} leads to ${JSON.stringify(location)}, which is no web address. Look at it in a browser, and give the ` +
        `URL of the text itself.`,
    );
  }
  if (url.protocol === "https:" && next.protocol === "http:") {
    throw new DataError(
      `${url.href} leads to ${next.href}, where anybody on the way could change it. Give that URL if it is meant.`,
    );
  }
  return next;
}

function request(url: URL, fetching: Fetching, signal: AbortSignal): Promise<IncomingMessage> {
  const { allowPrivate, agent, limits } = fetching;
  return new Promise((resolve, reject) => {
    const request = (url.protocol === "https:" ? https : http).get(url, {
      agent: false, // a connection of its own, looked up for it
      lookup: publicLookup(url.href, allowPrivate),
      signal,
      timeout: limits.idle_ms,
      headers: { "user-agent": agent, accept: "*/*", "accept-encoding": "gzip" },
    });
    request.on("response", resolve);
    request.on("error", reject);
    request.on("timeout", () => {
      const seconds = duration(limits.idle_ms / 1000);
      request.destroy(new Error(`nothing came from it for ${seconds}`));
    });
  });
}

async function takeBody(
  url: URL,
  response: IncomingMessage,
  { limits, progress, cuts = false }: Fetching,
  take: (bytes: Uint8Array) => Promise<void> | void,
): Promise<void> {
  const { "content-length": length, "content-encoding": coding = "identity" } = response.headers;
  const packed = /^(x-)?gzip$/i.test(coding);
  if (!packed && coding !== "identity") {
    throw new DataError(
      `${url.href} comes packed as ${coding}, which was not asked for. ${OTHERWISE}`,
    );
  }
  const total = length === undefined || packed ? null : Number(length);
  const tooLarge = () =>
    new DataError(
      `${url.href} is larger than ${bytesText(limits.bytes)}, and was given up. Train on a part of it.`,
    );
  if (total !== null && total > limits.bytes && !cuts) throw tooLarge();
  const body = packed ? response.pipe(createGunzip()) : response;
  // What happens to the connection is told by what is read from it.
  if (packed) response.on("error", (error) => body.destroy(error));
  let got = 0;
  for await (const bytes of body as AsyncIterable<Uint8Array>) {
    const room = limits.bytes - got;
    got += bytes.length;
    if (bytes.length > room) {
      if (!cuts) throw tooLarge();
      return take(bytes.subarray(0, room));
    }
    await take(bytes);
    progress?.(got, total);
  }
}

function typeOf(header = ""): Pick<Fetched, "type" | "charset"> {
  const [type] = header.split(";", 1);
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(header)?.[1] ?? null;
  return { type: type.trim().toLowerCase(), charset: charset?.toLowerCase() ?? null };
}

const reasons: Record<string, string> = {
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "the host's name cannot be looked up, be it for want of a network",
  ECONNREFUSED: "its host refuses the connection",
  ECONNRESET: "the connection broke off before its end",
  ETIMEDOUT: "its host does not answer",
  EHOSTUNREACH: "there is no way to its host",
  ENETUNREACH: "there is no network",
  Z_DATA_ERROR: "what came is not packed as its server says",
  Z_BUF_ERROR: "what came ends too soon",
};

function networkReason(error: unknown): string {
  const { code = "", message } = error as NodeJS.ErrnoException;
  return Object.hasOwn(reasons, code) ? `${reasons[code]} (${code})` : message;
}
