// Drives the machine's Firefox by WebDriver BiDi, the protocol it speaks itself. Playwright has it send a command that
// Firefox's long-term releases do not know, and three commands are all that the tests need.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const installed = [
  "/usr/bin/firefox-esr",
  "/usr/bin/firefox",
  "/snap/bin/firefox",
  "/Applications/Firefox.app/Contents/MacOS/firefox",
  "C:\\Program Files\\Mozilla Firefox\\firefox.exe",
];

/** WebGPU, also where a system or a GPU in software is not on the list of those that have it. */
const preferences = {
  "dom.webgpu.enabled": true,
  "dom.webgpu.workers.enabled": true,
  "gfx.webgpu.ignore-blocklist": true,
};

/** What a command may take, in ms; a machine that is busy starts Firefox in 20 s. */
const PATIENCE_MS = 100_000;

/** FIREFOX_PATH, or the machine's own; undefined where there is none. */
export function findFirefox(): string | undefined {
  const { FIREFOX_PATH } = process.env;
  if (FIREFOX_PATH && !existsSync(FIREFOX_PATH)) {
    throw new Error(`FIREFOX_PATH is "${FIREFOX_PATH}", but there is no such file.`);
  }
  return FIREFOX_PATH || installed.find((path) => existsSync(path));
}

/** A window of a Firefox of its own, which close() ends. */
export class Firefox {
  private readonly child: ChildProcess;
  private readonly socket: WebSocket;
  private readonly profile: string;
  private readonly answers = new Map<number, (answer: Answer) => void>();
  private context = "";
  private last = 0;

  private constructor(child: ChildProcess, socket: WebSocket, profile: string) {
    this.child = child;
    this.socket = socket;
    this.profile = profile;
    socket.addEventListener("message", ({ data }) => {
      const answer: Answer = JSON.parse(data);
      this.answers.get(answer.id)?.(answer);
      this.answers.delete(answer.id);
    });
  }

  static async launch(executablePath: string): Promise<Firefox> {
    const profile = mkdtempSync(join(tmpdir(), "microgpt-firefox-"));
    const lines = Object.entries(preferences).map(
      ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
    );
    writeFileSync(join(profile, "user.js"), lines.join(""));
    const argv = ["--headless", "--remote-debugging-port=0", "--profile", profile];
    const child = spawn(executablePath, argv, { stdio: ["ignore", "ignore", "pipe"] });
    try {
      const socket = new WebSocket(`${await addressOf(child)}/session`);
      await once(socket, "open", { signal: AbortSignal.timeout(PATIENCE_MS) });
      const firefox = new Firefox(child, socket, profile);
      await firefox.send("session.new", { capabilities: {} });
      const { contexts } = await firefox.send("browsingContext.getTree", {});
      firefox.context = (contexts as { context: string }[])[0].context;
      return firefox;
    } catch (error) {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
      throw error;
    }
  }

  async goto(url: string): Promise<void> {
    await this.send("browsingContext.navigate", { context: this.context, url, wait: "complete" });
  }

  /** What an expression, or what it promises, comes to in the page, as JSON has it. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send("script.evaluate", {
      expression: `(async () => JSON.stringify((await (${expression})) ?? null))()`,
      target: { context: this.context },
      awaitPromise: true,
    });
    if (exceptionDetails) throw new Error((exceptionDetails as { text: string }).text);
    return JSON.parse((result as { value: string }).value);
  }

  /** Waits until an expression comes true in the page. */
  async until(condition: string): Promise<void> {
    const step = "new Promise((resolve) => setTimeout(resolve, 50))";
    await this.evaluate(`(async () => { while (!(${condition})) await ${step}; })()`);
  }

  private async send(method: string, params: object): Promise<Record<string, unknown>> {
    const id = ++this.last;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.answers.set(id, resolve);
    const failure = (why: string) => reject(new Error(`Firefox: ${method}: ${why}`));
    const timer = setTimeout(failure, PATIENCE_MS, `no answer in ${PATIENCE_MS / 1000} s`);
    this.socket.addEventListener("close", () => failure("it has ended"), { once: true });
    this.socket.send(JSON.stringify({ id, method, params }));
    try {
      const { type, message, result } = await promise;
      if (type === "error") throw new Error(`Firefox: ${method}: ${message}`);
      return result;
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    this.child.kill();
    if (this.child.exitCode === null && this.child.signalCode === null) {
      await once(this.child, "exit");
    }
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

interface Answer {
  id: number;
  type: "success" | "error";
  message: string;
  result: Record<string, unknown>;
}

/** Where Firefox listens, once it says so. */
async function addressOf(child: ChildProcess): Promise<string> {
  const said: string[] = [];
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  try {
    for await (const line of createInterface(child.stderr!)) {
      const address = /listening on (ws:\S+)/.exec(line)?.[1];
      if (address) return address;
      said.push(line);
    }
  } finally {
    clearTimeout(timer);
    child.stderr!.resume();
  }
  throw new Error(`Firefox did not start: ${said.slice(-3).join("; ")}`);
}
