// The page at `/`, on which a model can be tried: one file, of which nothing else is loaded.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Route } from "./app.ts";

export interface PageFacts {
  model: string;
  /** Whether it answers conversations. */
  chats: boolean;
  /** Whether programs need a key. */
  keyed: boolean;
}

/** The page runs its own script and style, and talks to its own server, and that is all. */
export function pageRoute({ model, chats, keyed }: PageFacts): Route {
  const text = readFileSync(new URL("page.html", import.meta.url), "utf8");
  const hashes = (tag: string) =>
    [...text.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, "gs"))]
      .map(([, inside]) => `'sha256-${createHash("sha256").update(inside).digest("base64")}'`)
      .join(" ");
  const policy = [
    "default-src 'none'",
    `script-src ${hashes("script")}`,
    `style-src ${hashes("style")}`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  const page = text
    .replaceAll("{{model}}", () => escaped(model))
    .replace("{{chats}}", String(chats))
    .replace("{{keyed}}", String(keyed));
  const headers = { "content-type": "text/html; charset=utf-8", "content-security-policy": policy };
  return { method: "GET", path: "/", isPage: true, handle: (c) => c.body(page, 200, headers) };
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
