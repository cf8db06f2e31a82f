// What is no request that can be answered, over a real socket: each has its status and its sentence, and the server goes on.

import { beforeAll, describe, expect, test } from "vitest";
import type { Generator } from "../../src/generation/from_model.ts";
import { chatGenerator, namesGenerator, serveModel } from "./models.ts";
import { endlessTexts, serveInTest } from "./server.ts";

let chat: Generator;
let names: Generator;
beforeAll(async () => {
  [chat, names] = [await chatGenerator(), await namesGenerator()];
});

const user = { role: "user", content: "my red cat" };
const generate = "/microgpt/v1/generate";
const completions = "/v1/completions";
const chats = "/v1/chat/completions";

describe("bodies", () => {
  const deep = (n: number) => `{"a": ${"[".repeat(n)}${"]".repeat(n)}}`;
  test.each([
    ["nothing", "", "The body is empty"],
    ["blanks", " \n ", "The body is empty"],
    ["no JSON", "hello", "The body cannot be taken for JSON"],
    ["half of an object", '{"num_samples": 1', "The body cannot be taken for JSON"],
    ["a list", "[]", "The body is []; it must be a JSON object."],
    ["a number", "5", "The body is 5; it must be a JSON object."],
    ["null", "null", "The body is null; it must be a JSON object."],
    ["a key twice", '{"seed": 1, "seed": 2}', 'the key "seed" is there twice'],
    ["a prototype", '{"__proto__": {"seed": 1}}', 'the key "__proto__" is not allowed'],
    ["depth", deep(100), "it is nested more than 100 deep"],
    ["much depth", deep(400_000), "it is nested more than 100 deep"],
    ["brackets without an end", "[".repeat(1_000_000), "it is nested more than 100 deep"],
    ["invalid UTF-8", new Uint8Array([123, 34, 255, 34, 125]), "The body is not UTF-8"],
    ["half a character", new Uint8Array([34, 0xe2, 0x82, 34]), "The body is not UTF-8"],
  ])("%s", async (_, body, sentence) => {
    const { fetch } = await serveModel(names);
    for (const path of [generate, completions, chats, "/v1/responses"]) {
      const headers = { "content-type": "application/json; charset=utf-8" };
      const response = await fetch(path, { method: "POST", body, headers });
      expect(response.status).toBe(400);
      const { error } = await response.json();
      expect(path === generate ? error : error.message).toContain(sentence);
    }
  });

  test("more than 1 MiB is refused with 413, told by its length or not; the most is taken", async () => {
    const { post, fetch } = await serveModel(names);
    const body = (bytes: number) => `{"a":"${"x".repeat(bytes - 8)}"}`;
    const most = await post(completions, body(2 ** 20));
    expect(most.status).toBe(200);
    const more = await post(completions, body(2 ** 20 + 1));
    expect(more.status).toBe(413);
    expect((await more.json()).error.message).toBe(
      "The body is larger than 1 MiB, the most that is taken.",
    );
    const pieces = new Blob([body(2 ** 20 + 1)]).stream(); // of a length that is not told
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", body: pieces, headers, duplex: "half" } as RequestInit;
    expect((await fetch(generate, init)).status).toBe(413);
    expect((await fetch("/health")).status).toBe(200);
  });

  test.each([undefined, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])(
    "Content-Type %s is refused",
    async (type) => {
      const { fetch } = await serveModel(names);
      const body = new TextEncoder().encode("{}"); // which has no type of its own
      const headers: Record<string, string> = type === undefined ? {} : { "content-type": type };
      const response = await fetch(completions, { method: "POST", body, headers });
      expect(response.status).toBe(415);
      expect((await response.json()).error.message).toMatch(
        /^The request's Content-Type is .*; it must be application\/json\.$/,
      );
    },
  );

  test("a body that is compressed is refused", async () => {
    const { post } = await serveModel(names);
    const response = await post(completions, "{}", { headers: { "content-encoding": "gzip" } });
    expect(response.status).toBe(415);
  });
});

describe("fields", () => {
  const numbers = ["-1", "1.5", '"5"', "1e309", "[]", "{}", "true"];
  const integers = ["seed", "max_tokens", "num_samples"];

  test.each(integers.flatMap((name) => numbers.map((value) => [name, value])))(
    "%s cannot be %s",
    async (name, value) => {
      const { post } = await serveModel(names);
      const response = await post(generate, `{"${name}": ${value}}`);
      expect(response.status).toBe(400);
      expect((await response.json()).error).toMatch(new RegExp(`^${name} is .*; it must be`));
      if (name === "num_samples") return;
      const other = await post(completions, `{"${name}": ${value}}`);
      expect(other.status).toBe(400);
      expect((await other.json()).error).toMatchObject({
        type: "invalid_request_error",
        param: name,
      });
    },
  );

  test.each(["-1", '"5"', "1e309", "[]"])("temperature cannot be %s", async (value) => {
    const { post } = await serveModel(names);
    for (const path of [generate, completions]) {
      const response = await post(path, `{"temperature": ${value}}`);
      expect(response.status).toBe(400);
    }
  });

  test("num_samples is 50 at most: more are refused, not cut", async () => {
    const { post } = await serveModel(names);
    const more = await post(generate, { num_samples: 51 });
    expect(more.status).toBe(400);
    const sentence = "num_samples is 51; it must be a whole number from 1 to 50.";
    expect(await more.json()).toEqual({ error: sentence });
    const { samples } = await (await post(generate, { num_samples: 50 })).json();
    expect(samples).toHaveLength(50);
  });

  test("null is as good as nothing, and NaN is no JSON", async () => {
    const { post } = await serveModel(names);
    const said = await (await post(generate, {})).json();
    const nulls = { num_samples: null, temperature: null, seed: null, max_tokens: null };
    expect(await (await post(generate, nulls)).json()).toEqual(said);
    expect((await post(generate, '{"seed": NaN}')).status).toBe(400);
  });

  const path = "/microgpt/v1/chat";
  test.each([
    [{}, "messages is missing"],
    [{ messages: [] }, "messages is []"],
    [{ messages: "hello" }, 'messages is "hello"'],
    [{ messages: [{ role: "robot", content: "x" }] }, "robot"],
    [{ messages: [{ role: "user" }] }, "content"],
    [{ messages: [{ content: "x" }] }, "role"],
    [{ messages: [null] }, "messages[0] is null"],
    [{ messages: [user, { role: "assistant", content: "yes" }] }, "The last message"],
    [{ messages: [{ role: "user", content: "€" }] }, 'no token for "€"'],
    [{ messages: [{ role: "user", content: "red ".repeat(99) }] }, "make it shorter"],
  ])("a chat of %j is refused", async (body, words) => {
    const { post } = await serveModel(chat);
    const own = await post(path, body);
    expect(own.status).toBe(400);
    expect((await own.json()).error).toContain(words);
    const openai = await post(chats, body);
    expect(openai.status).toBe(400);
    const { error } = await openai.json();
    expect(error).toMatchObject({ type: "invalid_request_error", param: expect.any(String) });
    expect(error.message).toContain(words);
  });

  test("a model without chat tokens answers nobody", async () => {
    const { post } = await serveModel(names);
    const own = await post(path, { messages: [{ role: "user", content: "ada" }] });
    expect(own.status).toBe(400);
    expect((await own.json()).error).toContain("The model was not trained on conversations");
  });
});

describe("routes", () => {
  test("of another name, or method, are told", async () => {
    const { fetch, post } = await serveModel(names);
    const nowhere = await fetch("/v1/nowhere");
    expect(nowhere.status).toBe(404);
    const { error } = await nowhere.json();
    expect(error).toMatchObject({ type: "not_found_error", code: "unknown_url" });
    expect((await (await post("/microgpt/v1/nowhere", {})).json()).error).toMatch(/^There is no /);
    for (const [method, path, allow] of [
      ["GET", completions, "POST"],
      ["GET", generate, "POST"],
      ["DELETE", "/v1/models", "GET, HEAD"],
      ["PUT", "/v1/models/tiny", "GET, HEAD"],
      ["POST", "/health", "GET, HEAD"],
      ["OPTIONS", chats, "POST"],
    ]) {
      const response = await fetch(path, { method });
      expect([path, response.status, response.headers.get("allow")]).toEqual([path, 405, allow]);
      expect((await response.json()).error).toBeDefined();
    }
    expect((await fetch("/health", { method: "HEAD" })).status).toBe(200);
  });

  test.each([
    "/../package.json",
    "/..%2f..%2fpackage.json",
    "/v1/models/..%2F..%2Fetc%2Fpasswd",
    "/v1/models/%2e%2e",
    "/v1/models/%00",
    "/v1/models/%zz",
    "/page.html",
    "//etc/passwd",
    "/model.safetensors",
    "/%E0%A4%A",
  ])("no file is reached by %s", async (path) => {
    const { raw } = await serveModel(names);
    const head = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    expect(await raw(head)).toMatch(/^HTTP\/1\.1 40[04] [^]*"error"/);
  });

  test("before the model is there, and when its device is gone, requests are told so", async () => {
    const loading = await serveInTest();
    const health = await loading.fetch("/health");
    expect([health.status, await health.json()]).toEqual([503, { status: "loading" }]);
    const response = await loading.post(completions, {});
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("5");
    expect((await loading.fetch("/v1/models")).status).toBe(503);
    expect((await loading.fetch("/metrics")).status).toBe(200);
  });

  test("a fault of ours is a sentence without a trace, which the log has", async () => {
    const answers = () => {
      throw new TypeError("secret of the house");
    };
    const { post, output } = await serveInTest({ generator: endlessTexts().generator, answers });
    const response = await post(completions, {});
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(JSON.parse(text).error).toMatchObject({ type: "server_error", code: null });
    expect(text).not.toMatch(/secret|\.ts:|TypeError/);
    expect(output.errors).toMatch(/secret of the house\n {4}at /);
  });

  test("every answer has the headers that keep a browser from mistakes, and a name", async () => {
    const { fetch, post, raw } = await serveModel(names);
    const bad = await raw("GET /\\x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    expect(bad).toMatch(/^HTTP\/1\.1 400 /);
    const answers = [await fetch("/health"), await post(generate, {}), await fetch("/x")];
    for (const { headers } of answers) {
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{16}$/);
    }
    expect(bad).toContain("x-content-type-options: nosniff");
  });
});
