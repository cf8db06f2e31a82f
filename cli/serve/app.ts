// The routes, and what every request has to pass before it gets to one.

import { Hono } from "hono";
import { cors } from "hono/cors";
import type { Context, Handler } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { HttpBindings } from "@hono/node-server";
import { exchangeOf } from "./exchange.ts";
import { METRICS_TYPE } from "./metrics.ts";
import { Problem, problemBody, problemOf } from "./problem.ts";
import { clientOf, type RateLimit } from "./rate_limit.ts";
import type { Guard } from "./security.ts";
import type { Serving } from "./serving.ts";

export type Env = { Bindings: HttpBindings };

export interface Route {
  method: "GET" | "POST";
  /** As Hono writes them: `/v1/models/:id`. */
  path: string;
  /** Of a page that a browser shows: it asks its user for the key. */
  isPage?: boolean;
  handle: (c: Context<Env>) => Response | Promise<Response>;
}

export interface AppOptions {
  guard: Guard;
  limit: RateLimit;
  /** Whether X-Forwarded-For says who the client is. */
  trust_proxy: boolean;
  /** Told of a fault of ours. */
  report(error: unknown): void;
}

export function createApp(
  serving: Serving,
  routes: readonly Route[],
  { guard, limit, trust_proxy, report }: AppOptions,
): Hono<Env> {
  const app = new Hono<Env>();

  app.onError((error, c) => {
    const problem = problemOf(error);
    if (problem.status === 500) report(error);
    serving.failed(error);
    const path = new URL(c.req.url).pathname;
    const headers = problem instanceof Problem ? problem.headers : {};
    return c.json(problemBody(problem, path), problem.status as ContentfulStatusCode, {
      ...headers,
    });
  });

  app.use(async (c, next) => {
    const { incoming, outgoing } = c.env;
    const exchange = exchangeOf(outgoing);
    const forwarded = trust_proxy ? c.req.header("x-forwarded-for") : undefined;
    exchange.client = clientOf(incoming.socket.remoteAddress, forwarded);
    guard.checkHost(incoming.headers);
    guard.checkOrigin(incoming.headers);
    await next();
  });
  if (guard.sharesWithSites) {
    app.use(
      cors({
        origin: (origin) => guard.allowedOrigin(origin),
        allowMethods: ["GET", "POST"],
        exposeHeaders: ["x-request-id", "retry-after"],
        maxAge: 600,
      }),
    );
  }
  app.get("/health", (c) => {
    exchangeOf(c.env.outgoing).route = "/health";
    const { phase } = serving;
    return c.json({ status: phase === "ready" ? "ok" : phase }, phase === "ready" ? 200 : 503);
  });
  app.use(async (c, next) => {
    const { incoming, outgoing } = c.env;
    if (c.req.method === "POST") limit.take(exchangeOf(outgoing).client);
    const isPage = routes.some(({ path, isPage }) => isPage && path === c.req.path);
    guard.checkKey(incoming.headers, isPage ? "Basic" : "Bearer");
    await next();
  });

  app.get("/metrics", (c) => {
    exchangeOf(c.env.outgoing).route = "/metrics";
    return c.body(serving.metricsText(), 200, { "content-type": METRICS_TYPE });
  });
  for (const { method, path, handle } of routes) {
    const handler: Handler<Env> = (c) => {
      exchangeOf(c.env.outgoing).route = path;
      return handle(c);
    };
    app.on(method, path, handler);
  }
  const methods = new Map<string, string>(routes.map(({ path, method }) => [path, method]));
  for (const path of ["/health", "/metrics"]) methods.set(path, "GET");
  for (const [path, method] of methods) {
    app.all(path, (c) => {
      exchangeOf(c.env.outgoing).route = path;
      const message = `There is no ${c.req.method} ${path}; it is ${method} here.`;
      throw new Problem(405, message, {
        headers: { allow: method === "GET" ? "GET, HEAD" : method },
      });
    });
  }
  app.notFound((c) => {
    const path = c.req.path.slice(0, 100);
    const message = `There is no ${path} here. There are ${[...methods.keys()].join(", ")}.`;
    throw new Problem(404, message, { code: "unknown_url" });
  });
  return app;
}
