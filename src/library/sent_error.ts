// Errors in messages: taken apart on one side, and of the same class on the other. A bundler may have given the classes
// other names on each, but none to what the module exports.

import * as errors from "../errors.ts";
import type { SentError } from "./messages.ts";

const classes = Object.entries(errors) as [string, { prototype: Error }][];

export function sent(error: unknown): SentError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), fields: {} };
  const found = classes.find(([, each]) => each.prototype === Object.getPrototypeOf(error));
  return { name: found?.[0] ?? error.name, message: error.message, fields: { ...error } };
}

export function received({ name, message, fields }: SentError): Error {
  const found = classes.find(([known]) => known === name);
  const error = Object.assign(new Error(message), fields);
  if (!found) error.name = name;
  return found ? Object.setPrototypeOf(error, found[1].prototype) : error;
}
