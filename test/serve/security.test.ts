// Who is let in: the key, the names of the host, the sites whose pages ask, and how often a client may.

import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { AccessLog } from "../../cli/serve/logs.ts";
import { clientOf, RateLimit } from "../../cli/serve/rate_limit.ts";
import { main } from "../../cli/serve.ts";
import { runCli, temporaryFolder } from "../cli/fake_io.ts";
import { endlessTexts, serveInTest, until } from "./server.ts";

const key = "a-key-of-some-length";
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const basic = (words: string) => ({ authorization: `Basic ${btoa(words)}` });
const body = JSON.stringify({ max_tokens: 1 });

/** fetch sends no Host and no Origin of one's own. */
function ask(url: string, path: string, headers: Record<string, string>, method = "GET") {
  return new Promise<{ status: number; text: string; headers: Record<string, any> }>(
    (resolve, reject) => {
      const asked = request(`${url}${path}`, { method, headers, agent: false });
      asked.on("error", reject).on("response", async (response) => {
        let text = "";
        for await (const chunk of response) text += chunk;
        resolve({ status: response.statusCode!, text, headers: response.headers });
      });
      asked.end(method === "POST" ? body : undefined);
    },
  );
}

describe("the key", () => {
  const keyed = () =>
    serveInTest({
      generator: endlessTexts().generator,
      access: { host: "127.0.0.1", key, origins: [] },
    });
  const paths = [
    ["GET", "/"],
    ["GET", "/metrics"],
    ["GET", "/openapi.json"],
    ["GET", "/v1/models"],
    ["GET", "/v1/models/tiny"],
    ["GET", "/nowhere"],
    ["OPTIONS", "/v1/completions"],
    ["PUT", "/v1/completions"],
    ["POST", "/health"],
    ["POST", "/v1/completions"],
    ["POST", "/v1/chat/completions"],
    ["POST", "/v1/responses"],
    ["POST", "/microgpt/v1/generate"],
    ["POST", "/microgpt/v1/chat"],
  ];

  test("guards every route but /health", async () => {
    const { url } = await keyed();
    for (const [method, path] of paths) {
      const { status, text, headers } = await ask(url, path, {}, method);
      expect([path, status]).toEqual([path, 401]);
      const { error } = JSON.parse(text);
      expect(error.message ?? error).toBe(
        "The request has no API key; send it as Authorization: Bearer KEY.",
      );
      const scheme = path === "/" ? "Basic" : "Bearer";
      expect(headers["www-authenticate"]).toBe(`${scheme} realm="microgpt-webgpu"`);
    }
    expect((await ask(url, "/health", {})).status).toBe(200);
  });

  test.each([
    [bearer(`${key}x`)],
    [bearer(key.slice(0, -1))],
    [bearer("")],
    [{ authorization: key }],
    [{ authorization: `Token ${key}` }],
    [{ authorization: `Bearer ${key} ${key}` }],
    [basic(`${key}:`)],
    [basic("user:")],
    [{ authorization: "Basic %%%" }],
    [{ "x-api-key": key }],
  ])("%j is not it", async (headers) => {
    const { url } = await keyed();
    const { status, text } = await ask(url, "/v1/models", headers);
    expect(status).toBe(401);
    expect(JSON.parse(text).error.code).toBe("invalid_api_key");
    expect(text).not.toContain(key);
  });

  test("is sent as clients of APIs do, or as a browser that asked for a password", async () => {
    const { url } = await keyed();
    for (const headers of [bearer(key), { authorization: `bearer  ${key}` }, basic(`me:${key}`)]) {
      expect((await ask(url, "/v1/models", headers)).status).toBe(200);
      const post = { ...headers, "content-type": "application/json" };
      expect((await ask(url, "/v1/completions", post, "POST")).status).toBe(200);
    }
  });

  test("comes first: nobody without it has a body read", async () => {
    const { raw } = await keyed();
    const answer = await raw(
      "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n",
    );
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
  });
});

describe("without a key", () => {
  const open = (origins: string[] = []) =>
    serveInTest({
      generator: endlessTexts().generator,
      access: { host: "127.0.0.1", key: null, origins },
    });

  test("a name that leads here by DNS is refused, whatever port it has", async () => {
    const { url } = await open();
    for (const host of ["evil.com", "evil.com:8080", "localhost.evil.com", "127.0.0.1.evil.com"]) {
      const { status } = await ask(url, "/v1/models", { host });
      expect([host, status]).toEqual([host, 403]);
    }
    for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]:80", "localhost."]) {
      expect([host, (await ask(url, "/v1/models", { host })).status]).toEqual([host, 200]);
    }
  });

  test("pages of other sites are refused, whatever they ask", async () => {
    const { url } = await open();
    const type = { "content-type": "application/json" };
    for (const origin of ["https://evil.com", "null", "http://127.0.0.1:1", "file://"]) {
      for (const [method, path] of [
        ["GET", "/v1/models"],
        ["GET", "/health"],
        ["OPTIONS", "/v1/completions"],
        ["POST", "/v1/completions"],
      ]) {
        const answer = await ask(url, path, { ...type, origin }, method);
        expect([origin, path, answer.status]).toEqual([origin, path, 403]);
        expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
      }
    }
    expect((await ask(url, "/v1/completions", { ...type, origin: url }, "POST")).status).toBe(200);
  });

  test.each([["https://a.example"], ["*"]])(
    "those of --cors-origin %s may ask",
    async (allowed) => {
      const { url } = await open([allowed]);
      const origin = "https://a.example";
      const asking = { origin, "access-control-request-method": "POST" };
      const before = await ask(url, "/v1/completions", asking, "OPTIONS");
      expect(before.status).toBe(204);
      expect(before.headers["access-control-allow-origin"]).toBe(allowed);
      const post = { origin, "content-type": "application/json" };
      const answer = await ask(url, "/v1/completions", post, "POST");
      expect([answer.status, answer.headers["access-control-allow-origin"]]).toEqual([
        200,
        allowed,
      ]);
      expect(answer.headers["access-control-allow-credentials"]).toBeUndefined();
      const bad = await ask(url, "/v1/nowhere", { origin });
      expect([bad.status, bad.headers["access-control-allow-origin"]]).toEqual([404, allowed]);
      const other = await ask(url, "/v1/models", { origin: "https://b.example" });
      expect(other.status).toBe(allowed === "*" ? 200 : 403);
    },
  );
});

describe("the limit", () => {
  test("is a client's own, and fills again", () => {
    let now = 0;
    const limit = new RateLimit(6, () => now);
    for (let i = 0; i < 6; i++) limit.take("a");
    expect(() => limit.take("a")).toThrow(
      "A client may make 6 requests a minute here; come back in 10 s.",
    );
    limit.take("b");
    now = 9999;
    expect(() => limit.take("a")).toThrow("come back in 1 s");
    now = 10_001;
    limit.take("a");
    expect(() => limit.take("a")).toThrow("come back in 10 s");
    now = 1e9;
    for (let i = 0; i < 6; i++) limit.take("a");
    expect(() => limit.take("a")).toThrow("come back");
  });

  test("answers 429 with Retry-After, to those who send bad keys too; looking is free", async () => {
    const { post, fetch } = await serveInTest({
      generator: endlessTexts().generator,
      limit: new RateLimit(3),
      access: { host: "127.0.0.1", key, origins: [] },
    });
    const statuses = [];
    for (const headers of [bearer(key), bearer("x"), bearer(key), bearer(key)]) {
      const response = await post("/v1/completions", { max_tokens: 1 }, { headers });
      statuses.push(response.status);
      if (response.status !== 429) continue;
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThanOrEqual(19);
      expect((await response.json()).error).toMatchObject({
        type: "rate_limit_error",
        code: "rate_limit_exceeded",
      });
    }
    expect(statuses).toEqual([200, 401, 200, 429]);
    expect((await fetch("/v1/models", { headers: bearer(key) })).status).toBe(200);
  });

  test.each([
    ["192.0.2.1", undefined, "192.0.2.1"],
    ["::ffff:192.0.2.1", undefined, "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", undefined, "2001:db8:1:2::/64"],
    ["2001:db8:1:2::9", undefined, "2001:db8:1:2::/64"],
    ["2001:0DB8::1", undefined, "2001:db8:0:0::/64"],
    ["::1", undefined, "0:0:0:0::/64"],
    ["fe80::1%eth0", undefined, "fe80:0:0:0::/64"],
    ["10.0.0.1", "1.1.1.1, 192.0.2.7", "192.0.2.7"],
    ["10.0.0.1", "nonsense", "10.0.0.1"],
    [undefined, undefined, "unknown"],
  ])("the client of %s, forwarded for %s, is %s", (address, forwarded, client) => {
    expect(clientOf(address, forwarded)).toBe(client);
  });

  test("X-Forwarded-For is believed only where it is asked for", async () => {
    for (const trust_proxy of [false, true]) {
      const server = await serveInTest({ trust_proxy });
      await server.fetch("/health", { headers: { "x-forwarded-for": "1.1.1.1, 192.0.2.7" } });
      await until(() => server.output.text !== "");
      expect(server.lines()[0].client).toBe(trust_proxy ? "192.0.2.7" : "127.0.0.1");
    }
  });
});

describe("the log", () => {
  test("has a line for each request, and nothing that was sent to the model", async () => {
    const { post, fetch, lines, output } = await serveInTest({
      generator: endlessTexts().generator,
    });
    await post("/v1/completions", { prompt: "a secret", max_tokens: 3 });
    await fetch("/v1/nowhere?secret=1");
    await until(() => lines().length === 3);
    const [, first, second] = lines(); // after that of the start
    expect(first).toMatchObject({
      type: "request",
      method: "POST",
      path: "/v1/completions",
      route: "/v1/completions",
      status: 200,
      tokens: 3,
      client: "127.0.0.1",
    });
    expect(first.ms).toBeGreaterThanOrEqual(first.first_token_ms);
    expect(second).toMatchObject({ path: "/v1/nowhere", status: 404 });
    expect(output.text).not.toContain("secret");
  });

  test("has it where it is asked for, on one line and without what a terminal obeys", async () => {
    let text = "";
    const log = new AccessLog(
      { write: (line) => void (text += line) },
      { json: false, prompts: true },
    );
    const { post, raw } = await serveInTest({ generator: endlessTexts().generator, log });
    await post("/v1/completions", { prompt: "a\n\u001b[31mb", max_tokens: 2 });
    await raw("GET /\x1b[31m HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect(text).toMatch(
      /POST \/v1\/completions {2}200 {2}[\d.]+ ms {2}2 tokens {2}\{"prompt":"a\\n\\u001b\[31mb","max_tokens":2\}\n/,
    );
    expect(text).not.toContain("\u001b");
  });
});

describe("the command", () => {
  const serve = (...argv: string[]) => runCli(main, ["--model-dir", "none", ...argv]);

  test.each([
    [["--host", "0.0.0.0"], "At 0.0.0.0 others reach the server. Give it a key that they need"],
    [["--host", "::"], "At :: others reach the server."],
    [["--host", "example.com"], "At example.com others reach the server."],
    [["--insecure"], "--insecure has no effect: 127.0.0.1 is reached from this machine alone"],
    [
      ["--host", "0.0.0.0", "--insecure", "--api-key", "k"],
      "--insecure has no effect: there is a key",
    ],
    [["--api-key", "a b"], "The API key has a space, or a character that is not ASCII"],
    [["--api-key", "schlüssel"], "The API key has a space, or a character that is not ASCII"],
    [["--api-key="], "--api-key is empty"],
    [["--port", "65536"], '--port is "65536"; it must be a whole number from 0 to 65535.'],
    [["--port", "-1"], '--port is "-1"'],
    [["--port", "http"], '--port is "http"'],
    [["--timeout", "0"], '--timeout is "0"'],
    [["--max-queue", "1.5"], '--max-queue is "1.5"'],
    [["--cors-origin", "example.com"], '--cors-origin is "example.com"; it must be * or a site'],
    [
      ["--cors-origin", "https://example.com/"],
      '--cors-origin is "https://example.com/"; it must be * or a site without a path',
    ],
  ])("%j is refused", async (argv, sentence) => {
    const { code, stdout, stderr } = await serve(...argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(`error: ${sentence}`);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });

  test("a key's file is read, and what is wrong with it told", async () => {
    const file = join(temporaryFolder(), "key");
    const refused = (...argv: string[]) => serve("--api-key-file", file, ...argv);
    expect((await refused()).stderr).toMatch(
      /^error: The API key's file .* cannot be read: there is no such/,
    );
    writeFileSync(file, "\n");
    expect((await refused()).stderr).toMatch(/^error: The API key in .* is empty; take letters/);
    writeFileSync(file, `${key}\n`);
    expect((await refused("--api-key", "k")).stderr).toContain("leave one of them out");
    expect((await refused("--host", "0.0.0.0")).stderr).toContain("none"); // there is no such model
  });
});
