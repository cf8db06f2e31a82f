// What is fetched: from servers on this machine, with all that servers do wrong, and where nothing may be fetched from.

import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { privateKind } from "../../cli/sources/addresses.ts";
import { Downloads } from "../../cli/sources/downloads.ts";
import { nextUrl, usualLimits } from "../../cli/sources/fetch.ts";
import { Web } from "../../cli/sources/web.ts";
import { readPage } from "../../cli/sources/web_page.ts";
import { main as train } from "../../cli/train.ts";
import { readFiles } from "../../src/text/read_corpus.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "../cli/fake_io.ts";
import { makeZip } from "./make_zip.ts";

const page = `<!doctype html><html><head><title>On plums</title><script>track()</script></head><body>
<nav><ul><li>Home</li><li>Shop</li></ul></nav>
<article><h1>On plums</h1>${"<p>A plum is <b>round</b> &amp; sweet,\n and nobody knows why.</p>".repeat(8)}
<ul><li>blue ones</li><li>yellow ones</li></ul><pre>a
  b</pre></article><footer>Imprint</footer></body></html>`;

type Answer = RequestListener;
const plain =
  (body: string | Uint8Array, headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    void response.writeHead(200, { "content-type": "text/plain", ...headers }).end(body);

let hits: string[] = [];
let agents = new Set<string | undefined>();
const answers: Record<string, Answer> = {
  "/a.txt": plain("anna\notto\n"),
  "/utf8": plain("é\n", { "content-type": "text/plain; charset=ISO-8859-1" }),
  "/latin": plain(Uint8Array.of(0x63, 0xe9), { "content-type": "text/plain; charset=ISO-8859-1" }),
  "/page": plain(page, { "content-type": "text/html; charset=utf-8" }),
  "/empty": plain("<html><body><script>x()</script></body></html>", {
    "content-type": "text/html",
  }),
  "/rows": plain("text,n\none,1\ntwo,2\n", { "content-type": "text/csv" }),
  "/zip": plain(makeZip([{ name: "z.txt", content: "zipped\n" }]), {
    "content-type": "application/zip",
  }),
  "/packed": plain(gzipSync("packed\n"), { "content-encoding": "gzip" }),
  "/bomb": plain(gzipSync(Buffer.alloc(2 ** 22, 48)), { "content-encoding": "gzip" }),
  "/torn": plain(gzipSync("packed\n").subarray(0, 15), { "content-encoding": "gzip" }),
  "/br": plain("x", { "content-encoding": "br" }),
  "/png": plain("x", { "content-type": "image/png" }),
  "/short": (_, response) => {
    response.writeHead(200, { "content-length": "1000" }).write("only this");
    setTimeout(() => response.destroy(), 20);
  },
  "/large": plain("x", { "content-length": String(2 ** 40) }),
  "/endless": (_, response) => {
    response.writeHead(200, { "content-type": "text/plain" });
    const more = () => {
      while (!response.destroyed && response.write("x".repeat(65536)));
    };
    response.on("drain", more);
    more();
  },
  "/slow": () => {},
  "/drip": (_, response) => {
    response.writeHead(200, { "content-type": "text/plain" });
    const timer = setInterval(() => response.write("x"), 10);
    response.on("close", () => clearInterval(timer));
  },
  "/secret/x": plain("secret"),
  "/to-secret": (_, response) => void response.writeHead(302, { location: "/secret/x" }).end(),
  "/to-a": (_, response) => void response.writeHead(301, { location: "/a.txt" }).end(),
  "/round": (_, response) => void response.writeHead(302, { location: "/round" }).end(),
  "/to-file": (_, response) =>
    void response.writeHead(302, { location: "file:///etc/passwd" }).end(),
  "/robots.txt": plain("User-agent: *\nDisallow: /secret/\n"),
};

let server: Server;
let site: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    hits.push(request.url!);
    agents.add(request.headers["user-agent"]);
    const answer = answers[request.url!];
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  site = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const limits = { bytes: 2 ** 20, idle_ms: 20_000, total_ms: 60_000 };
/** For servers that are late by intent. */
const hurried: Record<string, Partial<typeof limits>> = {
  "/slow": { idle_ms: 150 },
  "/drip": { total_ms: 400 },
};

function webOf(more: Partial<ConstructorParameters<typeof Web>[0]> = {}) {
  hits = [];
  agents = new Set();
  vi.stubEnv("MICROGPT_CACHE_DIR", temporaryFolder());
  onTestFinished(() => void vi.unstubAllEnvs());
  return new Web({ cache: true, allowPrivate: true, limits, ...more }, new FakeIo().stderr);
}

async function read(path: string) {
  const web = webOf({ limits: { ...limits, ...hurried[path] } });
  const part = await web.urlPart(`${site}${path}`);
  const names = part.files.map(({ name, source }) => name ?? source);
  const corpus = await readFiles(part.files, "text", { source: part.label });
  return { ...part, names, text: corpus.document(0) };
}

describe("a URL", () => {
  test.each([
    ["/a.txt", "anna\notto\n", "a.txt"],
    ["/to-a", "anna\notto\n", "to-a"],
    ["/utf8", "é\n", "utf8"],
    ["/latin", "cé", "latin"],
    ["/packed", "packed\n", "packed"],
    ["/zip", "zipped\n", "z.txt"],
    ["/rows", "text,n\none,1\ntwo,2\n", "rows.csv"],
  ])("%s is what is there", async (path, text, name) => {
    const found = await read(path);
    expect([found.text, found.names]).toEqual([text, [name]]);
    expect(hits[0]).toBe("/robots.txt");
    expect([...agents]).toEqual([expect.stringMatching(/^microgpt-webgpu\/\d/)]);
  });

  test("of a page is its text, without menus and scripts", async () => {
    const { text, label } = await read("/page");
    const paragraph = "A plum is round & sweet, and nobody knows why.";
    expect(text.startsWith(`On plums\n\n`)).toBe(true);
    expect(text.split(paragraph)).toHaveLength(9);
    expect(text).toContain(`${paragraph}\n\n${paragraph}`);
    expect(text).toContain("blue ones\nyellow ones");
    expect(text).toContain("a\n  b");
    expect(text).not.toMatch(/track|Shop|Imprint/);
    expect(label).toBe(`${site}/page “On plums”`);
    await expect(read("/empty")).rejects.toThrow("is a page without text");
  });

  test("of a page in another encoding is read by what the page says", async () => {
    const { text } = await readPage("<p>Straße in Österreich</p>", "u");
    expect(text).toBe("Straße in Österreich\n");
  });

  test.each([
    ["/none", /\/none cannot be had: its server answers 404 \(Not Found\)\. Look at it/],
    ["/png", /\/png is image\/png, which is no text\./],
    ["/short", /\/short cannot be fetched: the connection broke off before its end/],
    ["/large", /\/large is larger than 1 MiB, and was given up/],
    ["/endless", /\/endless is larger than 1 MiB, and was given up/],
    ["/bomb", /\/bomb is larger than 1 MiB, and was given up/],
    ["/torn", /\/torn cannot be fetched: what came ends too soon/],
    ["/br", /\/br comes packed as br, which was not asked for\. Try it again later, or/],
    [
      "/slow",
      /\/slow cannot be fetched: nothing came from it for 0\.\d+ s\. Try it again later, or/,
    ],
    ["/drip", /\/drip took longer than 0\.4 s, and was given up\. Try it again later, or/],
    ["/round", /\/round is redirected more than 5 times.* give the URL at which/],
    [
      "/to-file",
      /\/to-file leads to "file:\/\/\/etc\/passwd", which is no web address\. .* give the URL of/,
    ],
    ["/secret/x", /\/secret\/x is not fetched: .*\/robots\.txt asks programs to leave it alone/],
    ["/to-secret", /\/secret\/x is not fetched: .*\/robots\.txt asks programs to leave it alone/],
  ])("%s is refused with a sentence", async (path, sentence) => {
    await expect(read(path)).rejects.toThrow(sentence);
  });

  test("whose robots.txt cannot be had for want of its server is not fetched; without one it is", async () => {
    const { "/robots.txt": robots } = answers;
    try {
      answers["/robots.txt"] = (_, response) => void response.writeHead(503).end();
      await expect(read("/a.txt")).rejects.toThrow(
        "/robots.txt cannot be had: its server answers 503",
      );
      delete answers["/robots.txt"];
      expect((await read("/secret/x")).text).toBe("secret");
    } finally {
      answers["/robots.txt"] = robots;
    }
  });
});

describe("an address that is not public", () => {
  test.each([
    ["127.0.0.1", "loopback"],
    ["10.1.2.3", "private"],
    ["172.16.0.1", "private"],
    ["192.168.0.1", "private"],
    ["169.254.169.254", "linkLocal"],
    ["100.64.0.1", "carrierGradeNat"],
    ["0.0.0.0", "unspecified"],
    ["255.255.255.255", "broadcast"],
    ["224.0.0.1", "multicast"],
    ["::1", "loopback"],
    ["::", "unspecified"],
    ["fe80::1%eth0", "linkLocal"],
    ["fd00::1", "uniqueLocal"],
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:7f00:1", "loopback"],
    ["64:ff9b::7f00:1", "loopback"],
    ["64:ff9b::a01:203", "private"],
    ["64:ff9b:1::5db8:d70e", "rfc6052"],
    ["64:ff9b::5db8:d70e", undefined],
    ["2002:7f00:1::", "6to4"],
    ["2001:db8::1", "reserved"],
    ["93.184.215.14", undefined],
    ["2606:4700::1111", undefined],
  ])("%s: %s", (address, kind) => {
    expect(privateKind(address)).toBe(kind);
  });

  test("is not fetched, however it is written, named or led to", async () => {
    const port = new URL(site).port;
    const web = webOf({ allowPrivate: false });
    for (const host of [
      "127.0.0.1",
      "2130706433",
      "0x7f.1",
      "localhost",
      "[::1]",
      "[::ffff:127.0.0.1]",
    ]) {
      await expect(web.urlPart(`http://${host}:${port}/a.txt`)).rejects.toThrow(
        /leads to (127\.0\.0\.1|::1|::ffff:7f00:1), which is no public address \(loopback\), and is not fetched\./,
      );
    }
    expect(hits).toEqual([]);
  });

  test("is not gone on to from https either", () => {
    const from = new URL("https://example.org/a");
    expect(nextUrl(from, "/b").href).toBe("https://example.org/b");
    expect(() => nextUrl(from, "http://example.org/b")).toThrow(
      "where anybody on the way could change it",
    );
  });
});

describe("what was fetched", () => {
  const fetching = { allowPrivate: true, agent: "test", limits: usualLimits };

  test("is kept, and fetched anew where that is asked for, or where it is not what it has to be", async () => {
    vi.stubEnv("MICROGPT_CACHE_DIR", temporaryFolder());
    vi.stubEnv("TMPDIR", temporaryFolder());
    hits = [];
    const url = new URL(`${site}/a.txt`);
    const get = (caches: boolean, sha: string | null = null) =>
      new Downloads(caches).get(url, fetching, sha);
    const { path, when } = await get(true);
    expect(when).toBeNull();
    expect((await get(true)).when).toMatch(/^\d{4}-/);
    expect(hits).toHaveLength(1);
    expect((await get(false)).when).toBeNull();
    expect(hits).toHaveLength(2);

    const { createHash } = await import("node:crypto");
    const sha = createHash("sha256").update("anna\notto\n").digest("hex");
    expect((await get(true, sha)).when).not.toBeNull();
    writeFileSync(path, "damaged");
    expect((await get(true, sha)).when).toBeNull();
    expect((await get(true, sha)).when).not.toBeNull();
    await expect(get(true, "0".repeat(64))).rejects.toThrow(
      `${url} is not what it was: its SHA-256 is ${sha}, and has to be 0000`,
    );
    expect(readdirSync(join(path, "..")).filter((name) => name.includes(".part"))).toEqual([]);
    const both = await Promise.all([get(false), get(false), get(true), get(true)]);
    expect(both.every(({ path }) => path !== "")).toBe(true);
    vi.unstubAllEnvs();
  });

  test("is trained on, and a run on it goes on without the server", async () => {
    vi.stubEnv("MICROGPT_CACHE_DIR", temporaryFolder());
    vi.stubEnv("TMPDIR", temporaryFolder());
    const list = join(temporaryFolder(), "urls");
    writeFileSync(list, `# two\n${site}/a.txt\n${site}/packed\n`);
    const argv = [
      "--device",
      "cpu",
      "--output",
      temporaryFolder(),
      "--num-samples",
      "0",
      "--allow-private",
    ];
    const first = await runCli(train, [...argv, "--url-file", list, "--steps", "1"]);
    expect(first.stderr).toBe("");
    expect(first.stdout).toContain(`data    ${site}/a.txt and 1 other: 3 documents`);
    hits = [];
    const again = await runCli(train, [...argv, "--resume", "--steps", "2", "--json"]);
    expect(again.stderr).toBe("");
    expect(parseLines(again.stdout)[0].num_docs).toBe(3);
    expect(hits).toEqual([]);
    const refused = await runCli(train, [
      "--output",
      temporaryFolder(),
      "--no-cache",
      "--input",
      `${site}/a.txt`,
    ]);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("give --allow-private."),
    });
    vi.unstubAllEnvs();
  });
});
