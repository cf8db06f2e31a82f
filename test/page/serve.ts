// Builds the page and serves it from a sub-folder, as a plain static host would.

import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { build } from "vite";
import { root } from "../harness/unpack.ts";

const types: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
};

const folder = "/some/folder/";
/** Not by its name, which a container need not know. */
const HOST = "127.0.0.1";
const address = `http://${HOST}`;

export async function buildPage(outDir: string): Promise<void> {
  const web = join(root, "web");
  const configFile = join(web, "vite.config.ts");
  await build({ root: web, configFile, logLevel: "warn", build: { outDir, emptyOutDir: true } });
}

/** Serves the files of `dir`; answers with the page's address. */
export async function serve(dir: string): Promise<{ url: string; close(): void }> {
  const server = createServer(({ url }, response) => {
    const { pathname } = new URL(url!, address);
    const path = join(dir, pathname.slice(folder.length) || "index.html");
    if (!pathname.startsWith(folder) || !statSync(path, { throwIfNoEntry: false })?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": types[extname(path)] ?? "text/plain" });
    response.end(readFileSync(path));
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `${address}:${port}${folder}`, close: () => server.close() };
}
