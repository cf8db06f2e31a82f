// Vite's configuration of the page: `npm run web` serves it, `npm run build` writes it to web/dist.

import { defineConfig, type Plugin } from "vite";
import { buildWriter } from "./writer/build.ts";

/** The page that models are exported into lies beside this one. */
const writer: Plugin = {
  name: "writer",
  configureServer(server) {
    server.middlewares.use("/writer.html", (_, response, next) => {
      response.setHeader("content-type", "text/html");
      buildWriter().then((text) => response.end(text), next);
    });
  },
  async generateBundle() {
    this.emitFile({ type: "asset", fileName: "writer.html", source: await buildWriter() });
  },
};

export default defineConfig({
  // Relative: the built page works from any folder of any site.
  base: "./",
  plugins: [writer],
  worker: { format: "es" },
  build: {
    target: "es2024",
    rolldownOptions: { checks: { pluginTimings: false } }, // the writer is a build within this one
  },
});
