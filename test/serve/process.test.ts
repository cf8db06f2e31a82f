// The command as a process: its start, what is in its way, and its end by signals.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { main } from "../../cli/serve.ts";
import { endless, folderOf } from "../cli/talk.ts";
import { FakeIo, parseLines, temporaryFolder } from "../cli/fake_io.ts";
import { namesGenerator } from "./models.ts";
import { JSON_TYPE, until } from "./server.ts";

const serve = join(import.meta.dirname, "../../cli/serve.ts");

/** The environment without what sets our own flags. */
const clean = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(MICROGPT_.*|PORT|MODEL_DIR)$/.test(name)),
);

function start(argv: string[], env: NodeJS.ProcessEnv = {}) {
  const child: ChildProcess = spawn(process.execPath, [serve, "--device", "cpu", ...argv], {
    env: { ...clean, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const text = { stdout: "", stderr: "" };
  child.stdout!.on("data", (data) => (text.stdout += data));
  child.stderr!.on("data", (data) => (text.stderr += data));
  const closed = once(child, "close");
  return {
    child,
    text,
    url: async () => {
      await until(() => /http:\/\/[\d.]+:\d+/.test(text.stdout) || child.exitCode !== null);
      return /http:\/\/[\d.]+:\d+/.exec(text.stdout)![0];
    },
    end: async () => ({ code: (await closed)[0] as number, ...text }),
  };
}

const post = (url: string, path: string, body: object) =>
  fetch(`${url}${path}`, { method: "POST", headers: JSON_TYPE, body: JSON.stringify(body) });

describe("a server", () => {
  let folder: string;
  beforeEach(async () => {
    folder = folderOf((await namesGenerator()).model);
  });

  test("takes its model and port from the environment, tells where it is, and ends with 0", async () => {
    const server = start(["--json"], { MODEL_DIR: folder, PORT: "0" });
    const url = await server.url();
    const body = { num_samples: 2, temperature: 0.5, seed: 42 };
    const { samples } = await (await post(url, "/microgpt/v1/generate", body)).json();
    expect(samples).toHaveLength(2);
    const { data } = await (await fetch(`${url}/v1/models`)).json();
    expect(data[0].id).toBe(basename(folder));
    server.child.kill("SIGTERM");
    const { code, stdout, stderr } = await server.end();
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringContaining("Stopping: no more"),
    });
    const [first, ...lines] = parseLines(stdout);
    expect(first).toMatchObject({ type: "start", url, port: Number(new URL(url).port) });
    expect(lines.map(({ type, route, status }) => [type, route, status])).toEqual([
      ["request", "/microgpt/v1/generate", 200],
      ["request", "/v1/models", 200],
      ["end", undefined, undefined],
    ]);
  });

  test("says so where it cannot listen, or has no model", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const refused = start(["--model-dir", folder, "--port", String(port)]);
    const far = start(["--model-dir", folder, "--port", "0", "--host", "192.0.2.1", "--insecure"]);
    const none = start(["--model-dir", temporaryFolder(), "--port", "0"]);
    expect(await refused.end()).toEqual({
      code: 1,
      stdout: "",
      stderr: `error: Another program listens at 127.0.0.1:${port} already; choose another --port, or 0 for any that is free.\n`,
    });
    expect(await far.end()).toEqual({
      code: 1,
      stdout: "",
      stderr:
        "error: 192.0.2.1 is no address of this machine; choose another --host, such as 127.0.0.1.\n",
    });
    expect(await none.end()).toEqual({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/^error: .*\n$/),
    });
  });

  test("open to others says that it is", async () => {
    const server = start(["--model-dir", folder, "--port", "0", "--host", "0.0.0.0", "--insecure"]);
    const url = (await server.url()).replace("0.0.0.0", "127.0.0.1");
    expect(server.text.stderr).toBe(
      "warning: Everybody who reaches 0.0.0.0 may use the server: there is no key.\n",
    );
    expect((await fetch(`${url}/v1/models`)).status).toBe(200);
  });
});

describe("SIGTERM", () => {
  test("lets the texts that are written come to their end, and takes no more", async () => {
    const server = start(["--model-dir", endless(), "--port", "0"]);
    const url = await server.url();
    const messages = [{ role: "user", content: "a" }];
    const answer = await post(url, "/v1/chat/completions", { messages, stream: true });
    const reader = answer.body!.getReader();
    await reader.read();
    server.child.kill("SIGTERM");
    await until(() => server.text.stderr !== "");
    const late = await fetch(`${url}/health`);
    expect([late.status, await late.json()]).toEqual([503, { status: "draining" }]);
    const refused = await post(url, "/v1/chat/completions", { messages });
    expect(refused.status).toBe(503);
    let text = "";
    const decoder = new TextDecoder();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += decoder.decode(part.value, { stream: true });
    }
    expect(text).toMatch(/"finish_reason":"length"[^]*data: \[DONE\]\n\n$/);
    expect((await server.end()).code).toBe(0);
  });

  test("twice ends it at once", async () => {
    const server = start(["--model-dir", endless(), "--port", "0"]);
    const url = await server.url();
    const messages = [{ role: "user", content: "a" }];
    const answers = Array.from({ length: 9 }, () =>
      post(url, "/v1/chat/completions", { messages, n: 100 }).catch(() => "gone"),
    );
    await until(async () => /running [1-9]/.test(await (await fetch(`${url}/metrics`)).text()));
    server.child.kill("SIGTERM");
    await until(() => server.text.stderr !== "");
    await new Promise((resolve) => setTimeout(resolve, 550)); // sooner it is the same one, told twice
    server.child.kill("SIGTERM");
    expect((await server.end()).code).toBe(143);
    await Promise.all(answers);
  });

  test("does not wait for a model that is still to be opened", async () => {
    const io = new FakeIo();
    io.stderr.onWrite = (text) => {
      if (text.startsWith("warning: Everybody")) io.emit("SIGTERM"); // the last word before
    };
    const flags = ["--host", "0.0.0.0", "--insecure", "--port", "0", "--device", "cpu", "--json"];
    expect(await main(["--model-dir", endless(), ...flags], {}, io)).toBe(0);
    expect(io.exits).toEqual([0]);
    expect(parseLines(io.stdout.text).map(({ type }) => type)).toEqual(["end"]);
  });
});
