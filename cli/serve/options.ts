// The flags of `serve` that no other command has.

import type { Option } from "../options.ts";

export const port = {
  flag: "port",
  env: ["MICROGPT_PORT", "PORT"],
  value: "N",
  help: "where it listens; 0 for any that is free, which is printed",
  default: "8080",
} satisfies Option;

export const host = {
  flag: "host",
  env: ["MICROGPT_HOST"],
  value: "ADDRESS",
  help: "the address that it listens on; one that others reach needs a key, or --insecure",
  default: "127.0.0.1",
} satisfies Option;

export const apiKey: Option = {
  flag: "api-key",
  env: ["MICROGPT_API_KEY"],
  value: "KEY",
  help: "what clients have to send, all but those of /health; on the command line other users of the machine can see it",
};

export const apiKeyFile: Option = {
  flag: "api-key-file",
  env: ["MICROGPT_API_KEY_FILE"],
  value: "FILE",
  help: "a file that holds the key and nothing else",
};

export const insecure: Option = {
  flag: "insecure",
  env: [],
  help: "open to everybody who reaches --host, without a key",
};

export const corsOrigin: Option = {
  flag: "cors-origin",
  env: ["MICROGPT_CORS_ORIGIN"],
  value: "ORIGIN",
  many: true,
  help: "a site whose pages may use the server, such as https://example.com, may be given several times; * for every site",
};

export const rateLimit = {
  flag: "rate-limit",
  env: ["MICROGPT_RATE_LIMIT"],
  value: "N",
  help: "requests a minute that a client may make; 0 for as many as it likes",
  default: "0",
} satisfies Option;

export const trustProxy: Option = {
  flag: "trust-proxy",
  env: [],
  help: "clients are those that the proxy before the server names in X-Forwarded-For",
};

export const maxQueue = {
  flag: "max-queue",
  env: ["MICROGPT_MAX_QUEUE"],
  value: "N",
  help: "requests that wait for their turn; of more the client is told to come back later",
  default: "64",
} satisfies Option;

export const timeout = {
  flag: "timeout",
  env: ["MICROGPT_TIMEOUT"],
  value: "SECONDS",
  help: "how long a request may take, its wait included",
  default: "300",
} satisfies Option;

export const logPrompts: Option = {
  flag: "log-prompts",
  env: [],
  help: "log what clients send to the model too",
};

export const serveOptions: readonly Option[] = [
  port,
  host,
  apiKey,
  apiKeyFile,
  insecure,
  corsOrigin,
  rateLimit,
  trustProxy,
  maxQueue,
  timeout,
  logPrompts,
];
