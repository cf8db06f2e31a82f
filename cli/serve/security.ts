// Who is let in: by the key, and where there is none, by the names that a page of another site cannot have.

import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { hostname } from "node:os";
import { type Access, isLoopback } from "./access.ts";
import { Problem } from "./problem.ts";

/** Of every answer; a page says in its own what it may do. */
export const securityHeaders: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

export class Guard {
  private readonly access: Access;
  /** Of the key: of equal length whatever is compared with it. */
  private readonly digest: Buffer | null;

  constructor(access: Access) {
    this.access = access;
    this.digest = access.key === null ? null : sha256(access.key);
  }

  /**
   * A page elsewhere can lead its own name to this machine's address (DNS rebinding), and so past the browser's rules;
   * then the request names its host. Who has the key is let in by any name.
   * @throws Problem with status 403
   */
  checkHost({ host = "" }: IncomingHttpHeaders): void {
    if (this.access.key !== null) return;
    const name = host
      .toLowerCase()
      .replace(/:\d*$/, "")
      .replace(/^\[(.*)\]$/, "$1")
      .replace(/\.$/, "");
    const own = hostname().toLowerCase();
    if (isLoopback(name) || isIP(name) > 0) return;
    if ([this.access.host.toLowerCase(), own, `${own}.local`].includes(name)) return;
    throw new Problem(
      403,
      `The server does not go by the name ${JSON.stringify(name.slice(0, 100))}; reach it by its address, or give it a key.`,
    );
  }

  /** @throws Problem with status 403 if a page of a site sent it that may not */
  checkOrigin({ origin, host = "" }: IncomingHttpHeaders): void {
    if (origin === undefined || this.allowedOrigin(origin) !== null) return;
    if (URL.canParse(origin) && new URL(origin).host === host.toLowerCase()) return;
    throw new Problem(
      403,
      `Pages of ${JSON.stringify(origin.slice(0, 100))} may not use the server; --cors-origin lets them.`,
    );
  }

  /** Whether pages of other sites may use the server. */
  get sharesWithSites(): boolean {
    return this.access.origins.length > 0;
  }

  /** What a page's browser is told; null if the site is not one of --cors-origin. */
  allowedOrigin(origin: string): string | null {
    const { origins } = this.access;
    if (origins.includes("*")) return "*";
    return origins.includes(origin) ? origin : null;
  }

  /**
   * The key comes as clients of APIs send it, or as a browser does that has asked for a password.
   * @throws Problem with status 401
   */
  checkKey({ authorization = "" }: IncomingHttpHeaders, scheme: "Bearer" | "Basic"): void {
    if (this.digest === null) return;
    const [, kind = "", sent = ""] = /^(bearer|basic) +(\S+)$/i.exec(authorization) ?? [];
    const key = kind.toLowerCase() === "basic" ? passwordIn(sent) : sent;
    if (timingSafeEqual(sha256(key), this.digest) && key !== "") return;
    const what =
      authorization === "" ? "The request has no API key" : "The API key is not the right one";
    throw new Problem(401, `${what}; send it as Authorization: Bearer KEY.`, {
      code: "invalid_api_key",
      headers: { "www-authenticate": `${scheme} realm="microgpt-webgpu"` },
    });
  }
}

const sha256 = (text: string) => createHash("sha256").update(text).digest();

/** Of name:password in Base64, whatever the name. */
function passwordIn(basic: string): string {
  return Buffer.from(basic, "base64")
    .toString("utf8")
    .replace(/^[^:]*:/, "");
}
