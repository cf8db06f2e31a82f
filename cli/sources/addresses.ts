// Which addresses of the network may be fetched from: public ones, unless the user says otherwise. They are checked in
// the connection's own look-up, so that what was checked is what is dialled.

import { lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import { DataError } from "../../src/errors.ts";

/** What an address is, where it is no public one: "loopback"; undefined where it is. */
export function privateKind(address: string): string | undefined {
  const range = innermost(address.replace(/%.*$/, "")).range();
  return range === "unicast" ? undefined : range;
}

/** As networks without IPv4 write the addresses of others, RFC 6052. */
const translated = ipaddr.IPv6.parseCIDR("64:ff9b::/96");

/** An IPv4 address within an IPv6 one is judged as what it is. */
function innermost(address: string): ipaddr.IPv4 | ipaddr.IPv6 {
  const parsed = ipaddr.process(address);
  const isTranslated = parsed instanceof ipaddr.IPv6 && parsed.match(translated);
  return isTranslated ? new ipaddr.IPv4(parsed.toByteArray().slice(12)) : parsed;
}

/** @throws DataError if a URL's host is an address that is not public: none is looked up for it */
export function checkHost({ hostname, href }: URL, allowPrivate: boolean): void {
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  if (!allowPrivate && isIP(host) !== 0) checkAddress(host, href);
}

/** The look-up of a connection. */
export function publicLookup(href: string, allowPrivate: boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, "", 0);
      try {
        if (!allowPrivate) for (const { address } of addresses) checkAddress(address, href);
      } catch (refusal) {
        return callback(refusal as Error, "", 0);
      }
      if (options.all) callback(null, addresses);
      else callback(null, addresses[0].address, addresses[0].family);
    });
  };
}

function checkAddress(address: string, href: string): void {
  const kind = privateKind(address);
  if (kind === undefined) return;
  throw new DataError(
    `${href} leads to ${address}, which is no public address (${kind}), and is not fetched. If it is meant, give ` +
      `--allow-private.`,
  );
}
