// Who may use the server, as its flags say it.

import { isIP } from "node:net";
import { readFileSync } from "node:fs";
import { UserError } from "../../src/errors.ts";
import { reason } from "../../src/files/reason.node.ts";
import type { Flags } from "../flags.ts";
import { UsageError } from "../given.ts";
import { apiKey, apiKeyFile, corsOrigin, host, insecure } from "./options.ts";

export interface Access {
  /** The address that it listens on. */
  host: string;
  /** What clients have to send; null where they need not. */
  key: string | null;
  /** Sites whose pages may use it, `*` for all. */
  origins: readonly string[];
}

/** @throws UsageError if it would be open to others without anybody having said so */
export function accessIn(flags: Flags): Access {
  const access = { host: flags.text(host), key: keyIn(flags), origins: originsIn(flags) };
  const isOpen = flags.has(insecure);
  const guarded = isLoopback(access.host)
    ? `${access.host} is reached from this machine alone`
    : "";
  const useless = guarded || (access.key === null ? "" : "there is a key");
  if (isOpen && useless !== "") {
    throw new UsageError(`--insecure has no effect: ${useless}; leave it out.`);
  }
  if (guarded === "" && access.key === null && !isOpen) {
    throw new UsageError(
      `At ${access.host} others reach the server. Give it a key that they need, in ${apiKey.env[0]} or ` +
        `--${apiKeyFile.flag}, or --${insecure.flag} if everybody may use it.`,
    );
  }
  return access;
}

/** Whether an address or name is this machine's own, which no other reaches. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function keyIn(flags: Flags): string | null {
  const key = flags.text(apiKey);
  const path = flags.text(apiKeyFile);
  if (path === undefined) return key === undefined ? null : checkedKey(key, "The API key");
  if (key !== undefined) {
    throw new UsageError(
      `There is an API key, and --${apiKeyFile.flag} names a file with one; leave one of them out.`,
    );
  }
  let text;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UserError(`The API key's file ${path} cannot be read: ${reason(error)}.`);
  }
  return checkedKey(text.trim(), `The API key in ${path}`);
}

/** A header has to be able to hold it. */
function checkedKey(key: string, what: string): string {
  if (/^[!-~]+$/.test(key)) return key;
  throw new UsageError(
    `${what} ${key === "" ? "is empty" : "has a space, or a character that is not ASCII"}; take letters and digits, such ` +
      `as those that openssl rand -hex 24 prints.`,
  );
}

function originsIn(flags: Flags): readonly string[] {
  const origins = flags.all(corsOrigin);
  for (const origin of origins) {
    if (origin === "*" || (URL.canParse(origin) && new URL(origin).origin === origin)) continue;
    throw new UsageError(
      `--${corsOrigin.flag} is "${origin}"; it must be * or a site without a path, such as https://example.com.`,
    );
  }
  return origins;
}
