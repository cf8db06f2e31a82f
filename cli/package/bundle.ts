// Modules that a page takes as they are, without a bundler: each is whole by itself.

import { join } from "node:path";
import { build } from "vite";

/** By the names that they have in dist. */
const modules = { browser: "src/index.ts", worker: "src/worker.ts" };

export async function bundle(root: string, dist: string): Promise<void> {
  for (const [name, entry] of Object.entries(modules)) {
    await build({
      root,
      configFile: false,
      publicDir: false,
      logLevel: "warn",
      build: {
        outDir: dist,
        emptyOutDir: false,
        target: "es2023", // as the rest of the package
        license: { fileName: "licenses.md" },
        lib: { entry: join(root, entry), formats: ["es"], fileName: name },
        // Errors are told by the names of their classes.
        rolldownOptions: { output: { keepNames: true, minify: true } },
      },
    });
  }
}
