// Starts the browser for the tests that drive the real page (test/page): close it when done.

import { type Browser, chromium } from "playwright-core";
import { findBrowser } from "./browser.ts";

/** Headless Chromium whose WebGPU has an adapter (on http://127.0.0.1), or none, to see how the page says so. */
export function launchBrowser(options: { webgpu?: boolean } = {}): Promise<Browser> {
  return chromium.launch(findBrowser(options));
}
