// A server under load: clients that ask again as soon as they have an answer, and one that looks at /health all the while.
//
//   node test/bench/serve.ts --model-dir output --clients 200 --seconds 60
//
// Statuses other than 200 and 503 are an error, and so is memory that grows.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../harness/unpack.ts";
import { table } from "./contest.ts";

const { values } = parseArgs({
  options: {
    "model-dir": { type: "string", default: "output" },
    device: { type: "string", default: "auto" },
    clients: { type: "string", default: "200" },
    seconds: { type: "string", default: "60" },
    "max-tokens": { type: "string", default: "32" },
    prompt: { type: "string", default: "a" },
  },
});
const clients = Number(values.clients);
const seconds = Number(values.seconds);
const max_tokens = Number(values["max-tokens"]);

const script = join(root, "cli/serve.ts");
const argv = [
  "--model-dir",
  values["model-dir"],
  "--device",
  values.device,
  "--port",
  "0",
  "--json",
];
const server = spawn(process.execPath, [script, ...argv], { stdio: ["ignore", "pipe", "inherit"] });
const url = await started();

const statuses = new Map<number | string, number>();
const firstTokens: number[] = [];
const whole: number[] = [];
const health: number[] = [];
const memory: number[] = [];
let tokens = 0;
let over = false;

const agent = new Agent({ keepAlive: true });
await Promise.all(Array.from({ length: Math.min(clients, 8) }, (_, i) => ask(i))); // all is compiled then
for (const list of [firstTokens, whole]) list.length = 0;
statuses.clear();
tokens = 0;
const start = performance.now();
const looking = [every(100, look), every(1000, weigh)];
const asking = Array.from({ length: clients }, (_, i) => client(i));
await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
over = true;
const took = (performance.now() - start) / 1000;
const written = tokens;
await Promise.all([...asking, ...looking]);
server.kill("SIGTERM");
const [code] = await once(server, "close");
report();

/** Where it listens; its log is read on, and forgotten. */
function started(): Promise<string> {
  let text = "";
  return new Promise((resolve, reject) => {
    server.on("close", () => reject(new Error("The server did not start.")));
    server.stdout.on("data", function look(data) {
      text += data;
      const url = /"url":"([^"]+)"/.exec(text)?.[1];
      if (url === undefined) return;
      server.stdout.off("data", look).resume();
      resolve(url);
    });
  });
}

async function client(i: number): Promise<void> {
  for (let turn = 0; !over; turn++) await ask(i + turn * clients);
}

/** A text in a stream; whoever is sent away comes back as he is told, but within a second. */
async function ask(seed: number): Promise<void> {
  const body = JSON.stringify({ prompt: values.prompt, max_tokens, seed, stream: true });
  const at = performance.now();
  const headers = { "content-type": "application/json" };
  const asked = request(`${url}/v1/completions`, { method: "POST", agent, headers });
  try {
    asked.end(body);
    const [response] = await once(asked, "response");
    const { statusCode, headers } = response;
    let first: number | undefined;
    let text = "";
    for await (const data of response) {
      text += data;
      if (/"text":"[^"]/.test(text)) first ??= performance.now() - at;
    }
    count(text.includes('"error"') && statusCode === 200 ? "error in a stream" : statusCode);
    if (statusCode === 200) {
      whole.push(performance.now() - at);
      if (first !== undefined) firstTokens.push(first);
      tokens += text.match(/"text":"[^"]/g)?.length ?? 0;
    } else {
      const wait = Math.min(1, Number(headers["retry-after"] ?? 1));
      await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    }
  } catch (error) {
    count((error as NodeJS.ErrnoException).code ?? String(error));
  }
}

function count(status: number | string): void {
  statuses.set(status, (statuses.get(status) ?? 0) + 1);
}

async function every(ms: number, work: () => Promise<void>): Promise<void> {
  while (!over) {
    await work();
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
}

async function look(): Promise<void> {
  const at = performance.now();
  const { status } = await fetch(`${url}/health`);
  health.push(performance.now() - at);
  if (status !== 200) count(`/health ${status}`);
}

async function weigh(): Promise<void> {
  const text = await (await fetch(`${url}/metrics`)).text();
  memory.push(Number(/^microgpt_resident_memory_bytes (.*)$/m.exec(text)![1]) / 2 ** 20);
}

function report(): void {
  const at = (list: number[], part: number) =>
    (list.toSorted((a, b) => a - b)[Math.floor(part * (list.length - 1))] ?? NaN).toFixed(0);
  const spread = (list: number[]) => `${at(list, 0.5)} / ${at(list, 0.99)} / ${at(list, 1)} ms`;
  const quarter = Math.max(1, Math.floor(memory.length / 4));
  const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length;
  const [before, after] = [memory.slice(-2 * quarter, -quarter), memory.slice(-quarter)].map(mean);
  const rows = [
    ["statuses", [...statuses].map(([status, n]) => `${n} × ${status}`).join(", ")],
    ["tokens a second", (written / took).toFixed(0)],
    ["first token, p50 / p99 / max", spread(firstTokens)],
    ["whole answer", spread(whole)],
    ["/health", spread(health)],
    ["memory, third quarter / last", `${before.toFixed(0)} / ${after.toFixed(0)} MiB`],
    ["exit code after SIGTERM", String(code)],
  ];
  console.log(`${clients} clients, ${seconds} s, ${max_tokens} tokens at most`);
  console.log(table(rows));
  const odd = [...statuses.keys()].filter((status) => status !== 200 && status !== 503);
  if (odd.length > 0 || code !== 0 || after > 1.1 * before) process.exitCode = 1;
}
