// What is kept of what was fetched, what a signal leaves of it, and what a site's robots.txt that is not as it should be permits.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from "vitest";
import { Downloads } from "../../cli/sources/downloads.ts";
import { usualLimits } from "../../cli/sources/fetch.ts";
import { gather } from "../../cli/sources/gather.ts";
import { Web } from "../../cli/sources/web.ts";
import { main as info } from "../../cli/info.ts";
import { main as sweep } from "../../cli/sweep.ts";
import { main as tokenize } from "../../cli/tokenize.ts";
import { main as train } from "../../cli/train.ts";
import { DataError } from "../../src/errors.ts";
import { FakeIo, runCli, temporaryFolder } from "../cli/fake_io.ts";

let robots: RequestListener;
let asked: (path: string) => void;
let hits: string[] = [];
let server: Server;
let site: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url!;
    hits.push(path);
    if (path === "/robots.txt") return robots(request, response);
    response.writeHead(200, { "content-type": "text/plain" });
    if (path === "/endless") response.write("begun");
    else response.end(`${path}\n`);
    asked(path);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  site = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

let cache: string;
let temporary: string;
beforeEach(() => {
  hits = [];
  asked = () => {};
  robots = (_, response) => void response.writeHead(404).end();
  vi.stubEnv("MICROGPT_CACHE_DIR", (cache = temporaryFolder()));
  vi.stubEnv("TMPDIR", (temporary = temporaryFolder()));
  onTestFinished(() => void vi.unstubAllEnvs());
});

const limits = { ...usualLimits, bytes: 2 ** 21 };
const get = (path: string, { allowPrivate = true, most = 2 ** 34 } = {}) =>
  new Downloads(true, most).get(new URL(path, site), { allowPrivate, agent: "test", limits });

describe("what is kept", () => {
  test("of an address that is not public is not read where none may be", async () => {
    await get("/a");
    await expect(get("/a", { allowPrivate: false })).rejects.toThrow("which is no public address");
    expect((await get("/a")).when).not.toBeNull();
    expect(hits).toEqual(["/a"]);
  });

  test.each([
    ["nothing", {}],
    ["no date", { when: undefined }],
    ["another thing for a date", { when: 5 }],
    ["a date of nobody's", { when: "today" }],
    ["a type that is none", { type: null }],
    ["not whether it may be read", { private: undefined }],
  ])("is fetched anew where beside it is %s", async (_, wrong) => {
    const about = (await get("/a")).path.replace(/data$/, "json");
    const said = JSON.parse(readFileSync(about, "utf8"));
    writeFileSync(
      about,
      JSON.stringify(Object.keys(wrong).length === 0 ? wrong : { ...said, ...wrong }),
    );
    expect((await get("/a")).when).toBeNull();
    expect((await get("/a")).when).toMatch(/^\d{4}-/);
  });

  test("has a bound: what was not used for longest goes", async () => {
    const paths: string[] = [];
    for (const [i, path] of ["/a", "/b", "/c"].entries()) {
      const { path: file } = await get(path);
      paths.push(file);
      utimesSync(file.replace(/data$/, "json"), i + 1, i + 1);
    }
    await get("/a"); // used last
    const there = () => paths.map((path) => existsSync(path));
    const each = dirname(paths[0]);
    const bytes = readdirSync(each).reduce(
      (sum, name) => sum + readFileSync(join(each, name)).length,
      0,
    );
    await get("/a", { most: bytes });
    expect(there()).toEqual([true, true, true]);
    await get("/a", { most: bytes - 1 });
    expect(there()).toEqual([true, false, true]);
    await get("/a", { most: 1 });
    expect(there()).toEqual([true, false, false]);
    expect(readdirSync(each)).toHaveLength(2);
  });

  test("goes where a process that was killed has left half of it", async () => {
    const { path } = await get("/a");
    const [old, young] = ["b.data", "c.data"].map((name) => join(dirname(path), name));
    for (const left of [old, young]) writeFileSync(left, "");
    for (const left of [old, path]) utimesSync(left, 1, 1);
    await get("/a");
    expect([old, young, path].map((left) => existsSync(left))).toEqual([false, true, true]);
  });

  test("is told where it cannot be written, and nothing else is said", async () => {
    const downloads = new Downloads(true);
    const fetching = { allowPrivate: true, agent: "test", limits };
    const { path } = await downloads.get(new URL("/a", site), fetching);
    rmSync(dirname(path), { recursive: true });
    await expect(downloads.get(new URL("/b", site), fetching)).rejects.toThrow(
      new DataError(
        `What comes from ${site}/b cannot be written to ${join(cache, "downloads")}: there is no such file or folder (ENOENT). ` +
          `Make room there, or name another place by MICROGPT_CACHE_DIR.`,
      ),
    );
  });
});

describe("robots.txt", () => {
  const web = () => new Web({ cache: false, allowPrivate: true, limits }, new FakeIo().stderr);
  const fetched = (path: string) => web().urlPart(`${site}${path}`);

  test("that is too long counts as far as its last whole line before 512 KiB", async () => {
    const head = "User-agent: *\nDisallow: /secret/\nDisallow: /p\n";
    const allow = "Allow: /";
    const filler = `#${"x".repeat(2 ** 19 - head.length - allow.length - 2)}\n`;
    const body = `${head}${filler}${allow}p/q\nDisallow: /a\n`;
    robots = (_, response) => void response.writeHead(200).end(body);
    await expect(fetched("/secret/x")).rejects.toThrow("asks programs to leave it alone");
    await expect(fetched("/p")).rejects.toThrow("asks programs to leave it alone");
    expect((await fetched("/a")).label).toBe(`${site}/a`);
  });

  test("that cannot be had permits nothing", async () => {
    robots = (request) => void request.socket.destroy();
    await expect(fetched("/a")).rejects.toThrow(
      /\/robots\.txt cannot be fetched: the connection broke off.* Try it again later/,
    );
    expect(hits).toEqual(["/robots.txt"]);
  });
});

describe("a signal", () => {
  const hanging: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
  };
  const commands = { train, sweep, info, tokenize };
  const url = ["--allow-private", "--no-cache"];

  test.each(Object.keys(commands) as (keyof typeof commands)[])(
    "ends %s while it fetches or waits for its text",
    async (name) => {
      const flag = name === "tokenize" ? "--train" : "--input";
      const rest =
        name === "tokenize"
          ? ["--stats"]
          : name === "info"
            ? []
            : ["--output", join(temporary, "o")];
      const io = new FakeIo();
      asked = () => void io.emit("SIGINT");
      const fetching = await runCli(
        commands[name],
        [flag, `${site}/endless`, ...url, ...rest],
        {},
        io,
      );
      expect(fetching.code).toBe(130);
      expect(fetching.stderr).not.toContain("error");
      for (const folder of readdirSync(temporary))
        expect(readdirSync(join(temporary, folder))).toEqual([]);

      const waiting = new FakeIo();
      waiting.stdin = hanging;
      setTimeout(() => waiting.emit("SIGTERM"), 50);
      expect((await runCli(commands[name], [flag, "-", ...rest], {}, waiting)).code).toBe(143);
    },
  );

  test.runIf(process.platform !== "win32")(
    "leaves nothing of what was fetched, nor waits for standard input",
    async () => {
      const cli = join(import.meta.dirname, "../../cli/train.ts");
      const run = async (argv: string[], ready: (child: ReturnType<typeof spawn>) => void) => {
        const child = spawn(process.execPath, [cli, "--output", join(temporary, "o"), ...argv]);
        onTestFinished(() => void child.kill("SIGKILL"));
        ready(child);
        return (await once(child, "close"))[0];
      };
      const code = await run(["--input", `${site}/endless`, ...url], (child) => {
        asked = () => void child.kill("SIGINT");
      });
      expect(code).toBe(130);
      expect(readdirSync(temporary)).toEqual([]);
      // The text is fetched first, so that it is known when standard input is read.
      const second = await run(["--input", `${site}/a`, "--input", "-", ...url], (child) => {
        asked = () => void setTimeout(() => child.kill("SIGINT"), 300);
      });
      expect(second).toBe(130);
      expect(readdirSync(temporary)).toEqual([]);
    },
  );
});

test("the size of several texts is known where that of each is", async () => {
  const file = join(temporaryFolder(), "a.txt");
  writeFileSync(file, "five\n");
  const sizeOf = async (...words: string[]) =>
    (await gather(words, new FakeIo(), { cache: true, allowPrivate: false })).bytes;
  expect(await sizeOf(file, file)).toBe(10);
  expect(await sizeOf("-", file)).toBeUndefined();
  expect(await sizeOf(file, "-", file)).toBeUndefined();
});
