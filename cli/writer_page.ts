// The page that models are exported into. In the npm package it is a file; in a checkout Vite builds it, within a second.

import { existsSync, readFileSync } from "node:fs";
import { UserError } from "../src/errors.ts";

/** @throws UserError if it has to be built, and what builds it is not installed */
export async function writerPage(): Promise<string> {
  const packed = new URL("../web/writer.html", import.meta.url);
  if (existsSync(packed)) return readFileSync(packed, "utf8");
  // By its address: the compiler that makes the package need not know of it.
  const { href } = new URL("../web/writer/build.ts", import.meta.url);
  try {
    const { buildWriter } = await import(href);
    return await buildWriter();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new UserError(
      `A page is built by Vite here, which is not installed: npm ci, without --omit=dev, installs it. The npm package ` +
        `brings the page along.`,
    );
  }
}
