// Vite's configuration of the page: `npm run web` serves it, `npm run build` writes it to web/dist.

import { defineConfig } from "vite";

export default defineConfig({
  // Relative: the built page works from any folder of any site.
  base: "./",
  worker: { format: "es" },
  build: { target: "es2024" },
});
