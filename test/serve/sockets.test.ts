// Clients that speak HTTP badly, too slowly or not at all: each is answered or left, and the server goes on.

import { once } from "node:events";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { endlessTexts, serveInTest, until } from "./server.ts";

const patience = { headers_ms: 300, body_ms: 300 };
const post = (length: number | string) =>
  `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n`;

/** A server, and that it answers still. */
async function server() {
  const texts = endlessTexts();
  const server = await serveInTest({ generator: texts.generator, patience });
  return {
    ...server,
    texts,
    expectAlive: async () => {
      expect((await server.post("/v1/completions", { max_tokens: 2 })).status).toBe(200);
      expect(server.output.errors).toBe("");
    },
  };
}

test.each([
  ["no HTTP", "hello\r\n\r\n", "400 Bad Request"],
  [
    "a request without a host",
    "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n",
    "400 Bad Request",
  ],
  [
    "one with an empty host",
    "GET /health HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
    "400 Bad Request",
  ],
  ["an old one without a host", "GET /health HTTP/1.0\r\n\r\n", "400 Bad Request"],
  ["two lengths", `${post(5)}Content-Length: 6\r\n\r\n{}`, "400 Bad Request"],
  [
    "a length and chunks",
    `${post(5)}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "400 Bad Request",
  ],
  ["a length below 0", `${post(-5)}\r\n{}`, "400 Bad Request"],
  ["a length beyond 64 bits", `${post("9".repeat(30))}\r\n{}`, "400 Bad Request"],
  ["a length of more than is taken", `${post(2 ** 40)}\r\n{}`, "413 Payload Too Large"],
  ["a huge header", `${post(2)}X: ${"x".repeat(20_000)}\r\n\r\n{}`, "431 Request Header Fields"],
  ["a huge address", `GET /${"x".repeat(20_000)} HTTP/1.1\r\n\r\n`, "431 Request Header Fields"],
  [
    "an absolute address elsewhere",
    "GET http://evil.com/health HTTP/1.1\r\nHost: evil.com\r\nConnection: close\r\n\r\n",
    "403 Forbidden",
  ],
  [
    "a host that is none",
    "GET /health HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
    "400 Bad Request",
  ],
  ["CONNECT", "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", ""],
])("%s", async (_, text, status) => {
  const { raw, expectAlive } = await server();
  const answer = await raw(text);
  expect(answer.split("\r\n")[0]).toContain(status);
  expect(answer).toMatch(status === "" ? /^$/ : /\r\n\r\n\{"error":\{"message":"[A-Z].*\."/);
  await expectAlive();
});

test.each([
  ["nothing", []],
  ["half a head", ["POST /v1/completions HTTP/1.1\r\nHost: loc"]],
  ["a head without an end", [`${post(2)}`]],
])("who sends %s is told that it takes too long", async (_, parts) => {
  const { raw, expectAlive } = await server();
  const answer = await raw(...parts);
  expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
  expect(answer).toContain("The request did not come in time.");
  await expectAlive();
});

test("so is who sends a head drop by drop", async () => {
  const { url, expectAlive } = await server();
  const socket = connect(Number(new URL(url).port), "127.0.0.1").on("error", () => {});
  let answer = "";
  socket.on("data", (data) => (answer += data)).write("GET /health HTTP/1.1\r\n");
  const drops = setInterval(() => socket.write("X-Drop: 1\r\n"), 30);
  await once(socket, "close");
  clearInterval(drops);
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  await expectAlive();
});

test("who sends half a body is told so, and holds no place meanwhile", async () => {
  const { raw, texts, metric, expectAlive } = await server();
  const answer = raw(`${post(20)}Connection: close\r\n\r\n{"seed"`);
  expect(await metric("microgpt_requests_waiting")).toBe(0);
  expect(await answer).toMatch(
    /^HTTP\/1\.1 408 [^]*"message":"The body did not come within 0\.3 s\."/,
  );
  expect(texts.begun).toEqual([]);
  await expectAlive();
});

test.each([
  ["in the head", "POST /v1/completions HTTP/1.1\r\nHost"],
  ["in the body", `${post(20)}\r\n{"seed"`],
  ["before the answer", `${post(2)}\r\n{}`],
  ["in a stream", `${post(15)}\r\n{"stream":true}`],
])("who leaves %s leaves nothing behind", async (_, text) => {
  const { url, texts, metric, expectAlive } = await server();
  const socket = connect(Number(new URL(url).port), "127.0.0.1").on("error", () => {});
  onTestFinished(() => void socket.destroy());
  socket.write(text);
  const runs = text.endsWith("}");
  await until(() => (runs ? texts.tokens > 5 : socket.bytesWritten === text.length));
  socket.resetAndDestroy();
  await until(() => texts.writing === 0);
  expect(await metric("microgpt_texts_running")).toBe(0);
  expect(await metric("microgpt_requests_waiting")).toBe(0);
  await expectAlive();
});

test("two requests in one go are answered in their order", async () => {
  const { raw } = await server();
  const body = '{"max_tokens":2}';
  const first = `${post(body.length)}\r\n${body}`;
  const answer = await raw(
    `${first}GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
  );
  expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
  expect(answer.indexOf('{"text":"xx"}')).toBeLessThan(answer.indexOf('{"status":"ok"}'));
});

test("Expect: 100-continue is told to go on", async () => {
  const { raw } = await server();
  const body = '{"max_tokens":1}';
  const answer = await raw(
    `${post(body.length)}Expect: 100-continue\r\nConnection: close\r\n\r\n`,
    body,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
});
