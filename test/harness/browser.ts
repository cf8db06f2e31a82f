// Finds a Chromium for the tests: CHROME_PATH, the machine's own, or the one inside @sparticuz/chromium.

import { existsSync, writeFileSync } from "node:fs";
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

// What gpu.ts sets for Node's SwiftShader is not for the browser, which brings its own.
const forNodeOnly = ["LD_LIBRARY_PATH", "VK_DRIVER_FILES", "VK_ICD_FILENAMES"];

/** Options for Playwright's launch(). */
export interface Launch {
  executablePath: string;
  args: string[];
  env: Record<string, string>;
}

/** How to start Chromium, headless, with WebGPU on its own SwiftShader or (webgpu: false) without an adapter. */
export function findBrowser({ webgpu = true } = {}): Launch {
  const { executablePath, variables } = findExecutable();
  const inherited = Object.entries(process.env).filter(([name]) => !forNodeOnly.includes(name));
  return {
    executablePath,
    args: [
      "--no-sandbox", // containers run tests as root, where the sandbox cannot be set up
      ...(webgpu
        ? ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
        : ["--disable-gpu"]),
    ],
    env: { ...(Object.fromEntries(inherited) as Record<string, string>), ...variables },
  };
}

function findExecutable(): { executablePath: string; variables?: Record<string, string> } {
  const { CHROME_PATH, MICROGPT_TEST_BROWSER } = process.env;
  if (CHROME_PATH) {
    if (existsSync(CHROME_PATH)) return { executablePath: CHROME_PATH };
    throw new Error(`CHROME_PATH is "${CHROME_PATH}", but there is no such file.`);
  }
  const executablePath = installed.find((path) => existsSync(path));
  if (executablePath && MICROGPT_TEST_BROWSER !== "npm") return { executablePath };
  if (!canUnpack()) {
    throw new Error(
      "No Chromium for the browser tests: install Chromium or Google Chrome, or set CHROME_PATH to one.",
    );
  }
  const folder = unpack("chromium", [
    "chromium.br",
    "swiftshader.tar.br", // Chromium looks for it beside itself
    "al2023.tar.br", // libnss3 and its kin, which a bare machine lacks
    "fonts.tar.br", // without a font, text has no width, and elements count as invisible
  ]);
  const fonts = join(folder, "test-fonts.conf");
  writeFileSync(
    fonts,
    `<fontconfig><dir>${folder}/fonts</dir><cachedir>${folder}/font-cache</cachedir></fontconfig>`,
  );
  return {
    executablePath: join(folder, "chromium"),
    variables: { LD_LIBRARY_PATH: join(folder, "lib"), FONTCONFIG_FILE: fonts },
  };
}
