// Finds a Chromium for the tests: CHROME_PATH, the machine's own, or the one inside @sparticuz/chromium.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { canUnpack, unpack } from "./unpack.ts";

const installed = [
  "/usr/bin/chromium",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
  "/usr/bin/chromium-browser",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

/** Options for Playwright's launch(). */
export interface Launch {
  executablePath: string;
  args: string[];
  env: Record<string, string>;
}

/** How to start Chromium, headless, with WebGPU on its own SwiftShader or (webgpu: false) with none. */
export function findBrowser({ webgpu = true } = {}): Launch {
  const { executablePath, libraries } = findExecutable();
  // The tests' own Vulkan driver is not for the browser, which brings its SwiftShader.
  const { VK_DRIVER_FILES: _, VK_ICD_FILENAMES: __, LD_LIBRARY_PATH: ___, ...env } = process.env;
  if (libraries) env.LD_LIBRARY_PATH = libraries;
  return {
    executablePath,
    args: [
      "--no-sandbox", // containers run tests as root, where the sandbox cannot be set up
      ...(webgpu
        ? ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
        : ["--disable-features=WebGPU,WebGPUService", "--disable-blink-features=WebGPU"]),
    ],
    env: env as Record<string, string>,
  };
}

function findExecutable(): { executablePath: string; libraries?: string } {
  const { CHROME_PATH } = process.env;
  if (CHROME_PATH) {
    if (existsSync(CHROME_PATH)) return { executablePath: CHROME_PATH };
    throw new Error(`CHROME_PATH is "${CHROME_PATH}", but there is no such file.`);
  }
  const executablePath = installed.find((path) => existsSync(path));
  if (executablePath && process.env.MICROGPT_TEST_BROWSER !== "npm") return { executablePath };
  if (canUnpack()) {
    // Chromium looks for SwiftShader beside itself; al2023 holds libnss3 and its kin, which bare machines lack.
    const folder = unpack("chromium", ["chromium.br", "swiftshader.tar.br", "al2023.tar.br"]);
    return { executablePath: join(folder, "chromium"), libraries: join(folder, "lib") };
  }
  throw new Error(
    "No Chromium for the browser tests: install Chromium or Google Chrome, or set CHROME_PATH to one.",
  );
}
