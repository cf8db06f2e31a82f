// A request and its answer, as the log and the metrics tell of them once all is over.

import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

/** What is known of a request by whoever handles it. */
export interface Exchange {
  /** Sent in X-Request-Id, and logged. */
  readonly id: string;
  /** When it came, in ms. */
  readonly at: number;
  readonly method: string;
  /** As the client wrote it, with what stands behind a ?. */
  readonly path: string;
  client: string;
  /** The pattern of the path, once one has been found. */
  route?: string;
  /** ms that it waited for its turn, and to its first token. */
  waited?: number;
  first_token?: number;
  /** Tokens that were written for it. */
  tokens?: number;
  /** What it sent to the model. */
  prompt?: unknown;
  /** Why it got no whole answer though its status was sent, or who was in the way. */
  ended?: string;
}

const exchanges = new WeakMap<ServerResponse, Exchange>();

export function beginExchange(incoming: IncomingMessage, outgoing: ServerResponse): Exchange {
  const exchange: Exchange = {
    id: `req_${randomBytes(8).toString("hex")}`,
    at: performance.now(),
    method: incoming.method ?? "",
    path: incoming.url ?? "",
    client: "unknown",
  };
  exchanges.set(outgoing, exchange);
  return exchange;
}

/** @param outgoing of a request whose exchange has begun */
export function exchangeOf(outgoing: ServerResponse): Exchange {
  return exchanges.get(outgoing)!;
}
