// The body of a request: a JSON object of a size that can be held, or a sentence that says what is wrong with it.

import type { IncomingMessage } from "node:http";
import { bytes } from "../format.ts";
import { isObject, parseStrictJson, show } from "../../src/strict_json.ts";
import { Problem } from "./problem.ts";

const MOST_BYTES = 2 ** 20;

/**
 * @param patience_ms how long it may take to come
 * @throws Problem if it is no JSON, too large, or does not come
 */
export async function readJson(
  incoming: IncomingMessage,
  patience_ms: number,
): Promise<Record<string, unknown>> {
  checkHeaders(incoming);
  const body = await readAll(incoming, patience_ms);
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new Problem(400, "The body is not UTF-8; send JSON in UTF-8.");
  }
  if (text.trim() === "") {
    throw new Problem(400, "The body is empty; send a JSON object.");
  }
  let value;
  try {
    value = parseStrictJson(text);
  } catch (error) {
    const { message } = error as SyntaxError;
    throw new Problem(400, `The body cannot be taken for JSON: ${message.replace(/\.$/, "")}.`);
  }
  if (isObject(value)) return value;
  throw new Problem(400, `The body is ${show(value)}; it must be a JSON object.`);
}

/** A page of another site can send texts and forms without asking, but no JSON. */
function checkHeaders({ headers }: IncomingMessage): void {
  const type = headers["content-type"] ?? "";
  if (!/^application\/json\s*(;.*)?$/i.test(type)) {
    const got = type === "" ? "none" : `"${type.slice(0, 100)}"`;
    throw new Problem(415, `The request's Content-Type is ${got}; it must be application/json.`);
  }
  const encoding = headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") {
    throw new Problem(
      415,
      `The request's Content-Encoding is "${encoding.slice(0, 100)}"; send the body as it is.`,
    );
  }
  if (Number(headers["content-length"] ?? 0) > MOST_BYTES) throw tooLarge();
}

function readAll(incoming: IncomingMessage, patience_ms: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    const late = setTimeout(
      () => finish(new Problem(408, `The body did not come within ${patience_ms / 1000} s.`)),
      patience_ms,
    );
    const take = (chunk: Buffer) => {
      size += chunk.length;
      if (size > MOST_BYTES) finish(tooLarge());
      else chunks.push(chunk);
    };
    const end = () => finish();
    const gone = () => finish(new Problem(400, "The body ended before it was whole."));
    const finish = (problem?: Problem) => {
      clearTimeout(late);
      incoming.off("data", take).off("end", end).off("error", gone).off("close", gone);
      if (problem) reject(problem);
      else resolve(Buffer.concat(chunks));
    };
    incoming.on("data", take).on("end", end).on("error", gone).on("close", gone);
  });
}

const tooLarge = () =>
  new Problem(413, `The body is larger than ${bytes(MOST_BYTES)}, the most that is taken.`);
