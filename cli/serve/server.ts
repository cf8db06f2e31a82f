// The app behind a socket: what comes too slowly or is no HTTP is refused, and every request is logged once it is over.

import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener, RequestError } from "@hono/node-server";
import type { Hono } from "hono";
import { UserError } from "../../src/errors.ts";
import { reason } from "../../src/files/reason.node.ts";
import { until } from "./until.ts";
import type { Env } from "./app.ts";
import { beginExchange, type Exchange } from "./exchange.ts";
import { Problem, problemBody } from "./problem.ts";
import { securityHeaders } from "./security.ts";

/** How long the server waits for others, in ms. */
export interface Patience {
  /** For the head of a request. */
  headers_ms: number;
  /** For all of it, or its body. */
  body_ms: number;
  /** For a reader that lets an answer lie. */
  stall_ms: number;
  /** Silence of a stream until a sign of life. */
  keep_alive_ms: number;
  /** For the answers that are being written when the server is to stop. */
  drain_ms: number;
}

export const patience: Patience = {
  headers_ms: 10_000,
  body_ms: 30_000,
  stall_ms: 30_000,
  keep_alive_ms: 15_000,
  drain_ms: 8000,
};

/** Connections at once, at most. */
const MOST_CONNECTIONS = 1000;
/** A connection without requests is kept for longer than proxies keep theirs, or one that they use would be gone. */
const IDLE_MS = 65_000;

export interface Recorder {
  /** A request has come. */
  begin(): void;
  /** One is over, however it ended. @param status what was sent; 0 if nothing was */
  end(exchange: Exchange, status: number): void;
}

export function createHttpServer(
  app: Hono<Env>,
  { headers_ms, body_ms }: Patience,
  recorder: Recorder,
): Server {
  const listener = getRequestListener(app.fetch, {
    overrideGlobalObjects: false,
    errorHandler: (error) => {
      if (!(error instanceof RequestError)) throw error;
      return Response.json(problemBody(notHttp, ""), { status: notHttp.status });
    },
  });
  const server = createServer(
    {
      requireHostHeader: false, // it is missed below, with a sentence
      headersTimeout: headers_ms,
      requestTimeout: body_ms + headers_ms, // the body has its own, with a sentence
      connectionsCheckingInterval: Math.min(1000, headers_ms / 4),
    },
    (incoming, outgoing) => {
      const exchange = beginExchange(incoming, outgoing);
      recorder.begin();
      for (const [name, value] of Object.entries(securityHeaders)) outgoing.setHeader(name, value);
      outgoing.setHeader("x-request-id", exchange.id);
      outgoing.once("close", () => {
        if (!outgoing.writableFinished) exchange.ended ??= "the client left";
        recorder.end(exchange, outgoing.headersSent ? outgoing.statusCode : 0);
      });
      answering.set(incoming.socket, outgoing);
      void listener(incoming, outgoing);
    },
  );
  server.maxConnections = MOST_CONNECTIONS;
  server.keepAliveTimeout = IDLE_MS;
  server.on("clientError", refuse);
  return server;
}

const notHttp = new Problem(400, "The request's address or Host is none that can be.");

/** What a socket is at. */
const answering = new WeakMap<Socket, ServerResponse>();

/** What Node could not take for a request. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  const before = answering.get(socket);
  const isBusy = before !== undefined && before.headersSent && !before.writableFinished;
  if (!socket.writable || isBusy || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const [status, sentence] = refusals[error.code ?? ""] ?? [
    "400 Bad Request",
    "This is no HTTP request.",
  ];
  const type = "invalid_request_error";
  const body = JSON.stringify({ error: { message: sentence, type, param: null, code: null } });
  const head = [
    `HTTP/1.1 ${status}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroySoon());
}

const refusals: Record<string, [status: string, sentence: string]> = {
  HPE_HEADER_OVERFLOW: [
    "431 Request Header Fields Too Large",
    "The request's headers are larger than 16 KiB.",
  ],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [
    "413 Payload Too Large",
    "The request's chunks have too much beside them.",
  ],
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "The request did not come in time."],
};

/** @throws UserError if it cannot be done there */
export function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => {
      const sentence = cannotListen[error.code ?? ""]?.(host, port);
      reject(
        new UserError(sentence ?? `Nothing can be served at ${host}:${port}: ${reason(error)}.`),
      );
    };
    server.once("error", fail);
    server.listen({ host, port }, () => {
      server.off("error", fail);
      resolve(server.address() as AddressInfo);
    });
  });
}

const cannotListen: Record<string, (host: string, port: number) => string> = {
  EADDRINUSE: (host, port) =>
    `Another program listens at ${host}:${port} already; choose another --port, or 0 for any that is free.`,
  EACCES: (_, port) =>
    `Port ${port} is for programs with more rights than this one; choose a --port of 1024 or more.`,
  EADDRNOTAVAIL: (host) =>
    `${host} is no address of this machine; choose another --host, such as 127.0.0.1.`,
  ENOTFOUND: (host) => `There is no host ${host}; choose another --host, such as 127.0.0.1.`,
};

/** Of where it listens, for people to paste. */
export function urlOf({ address, port, family }: AddressInfo): string {
  return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
}

/** Takes no more requests, and ends all connections once the answers are sent, or after a while. */
export async function closeServer(server: Server, unanswered: () => number, ms: number) {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  await until(() => unanswered() === 0, ms);
  server.closeAllConnections();
  await closed;
}
