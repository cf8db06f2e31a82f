// Why a request gets no answer: a status, and a sentence for whoever sent it.

import { ConfigError, GpuError, RequestError, UserError } from "../../src/errors.ts";

/** What clients of OpenAI's tell errors apart by. */
const types: Record<number, string> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  408: "timeout_error",
  429: "rate_limit_error",
  500: "server_error",
  503: "overloaded_error",
  504: "timeout_error",
};

interface Details {
  param?: string | null;
  code?: string | null;
  headers?: Readonly<Record<string, string>>;
}

export class Problem extends RequestError {
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, { param, code, headers = {} }: Details = {}) {
    super(message, { status, type: types[status], param, code });
    this.headers = headers;
  }

  /** Of a server that may have time soon. */
  static busy(message: string, retry_after: number, status: 429 | 503 = 503): Problem {
    const seconds = String(Math.max(1, Math.ceil(retry_after)));
    const code = status === 429 ? "rate_limit_exceeded" : "overloaded";
    return new Problem(status, message, { code, headers: { "retry-after": seconds } });
  }
}

/** What is said of an error, whatever it is: of a fault of ours no more than that it is one. */
export function problemOf(error: unknown): RequestError {
  if (error instanceof RequestError) return error;
  if (error instanceof GpuError) return new Problem(500, error.message);
  if (error instanceof UserError) {
    const param = error instanceof ConfigError ? error.setting : null;
    return new Problem(400, error.message, { param });
  }
  return new Problem(
    500,
    "The server failed at this request by a fault of its own; its log tells more.",
  );
}

/** The object that an error is told in: OpenAI's, or in the API that has one of its own, a sentence. */
export function problemBody(problem: RequestError, path: string): object {
  return path.startsWith("/microgpt/") ? { error: problem.message } : problem.toJSON();
}
