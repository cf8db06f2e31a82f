// Serves a saved model over HTTP: microgpt's own API, OpenAI's, and a page to try it on.
//
//   npm run serve -- --model-dir output --port 8080
//   curl http://127.0.0.1:8080/microgpt/v1/generate -H 'Content-Type: application/json' -d '{"num_samples": 5}'

import { basename, resolve } from "node:path";
import { platform } from "#platform";
import { Service } from "../src/api/service.ts";
import { isChat } from "../src/choices.ts";
import { loadBest, loadModel } from "../src/files/model_dir.node.ts";
import { command } from "./command.ts";
import { Interrupt } from "./interrupt.ts";
import type { Generator } from "../src/generation/from_model.ts";
import { deviceOptions, openGenerator } from "./open_generator.ts";
import * as options from "./options.ts";
import { run } from "./run.ts";
import { accessIn } from "./serve/access.ts";
import { AccessLog } from "./serve/logs.ts";
import * as own from "./serve/options.ts";
import { RateLimit } from "./serve/rate_limit.ts";
import { startServer } from "./serve/start.ts";

const modelDir = {
  ...options.modelDir,
  env: [...options.modelDir.env, "MODEL_DIR"],
} satisfies options.Option;

const description = {
  name: "serve",
  summary:
    "Serves a saved model over HTTP: microgpt's own API, OpenAI's, and a page to try it on. Ctrl-C stops it once the answers are out that it is at.",
  options: [modelDir, options.best, ...own.serveOptions, ...deviceOptions],
};

/** Texts that are written at the same time, where there is memory for as many. */
const SLOTS = 64;

const LAST_PORT = 65_535;

export const main = command(description, async (flags, io) => {
  const access = accessIn(flags);
  const port = flags.integer(own.port, 0, LAST_PORT)!;
  const limit = new RateLimit(flags.integer(own.rateLimit, 0)!);
  const max_queue = flags.integer(own.maxQueue, 0)!;
  const timeout_s = flags.integer(own.timeout, 1, 86_400)!;
  const folder = flags.text(modelDir);
  const model = flags.has(options.best) ? loadBest(folder) : loadModel(folder);
  const name = basename(resolve(folder));
  let service: Service | undefined;
  const json = flags.has(options.json);
  const log = new AccessLog(io.stdout, { json, prompts: flags.has(own.logPrompts) });

  return Interrupt.during(
    io,
    async ({ signal }) => {
      const server = await startServer({
        access,
        port,
        limit,
        trust_proxy: flags.has(own.trustProxy),
        log,
        stderr: io.stderr,
        max_queue,
        timeout_s,
        version: platform.versions().engine,
        model: name,
        chats: isChat(model.config.format),
        answers: (generator) => {
          service ??= new Service(generator, { model: name });
          return service.by(generator);
        },
      });
      if (flags.has(own.insecure)) {
        io.stderr.write(
          `warning: Everybody who reaches ${access.host} may use the server: there is no key.\n`,
        );
      }
      let generator: Generator | undefined;
      try {
        const opening = openGenerator(flags, model, io, { num_slots: SLOTS });
        generator = (await Promise.race([opening, server.until(signal)])) ?? undefined;
        if (generator === undefined || signal.aborted) {
          await server.stop();
          io.exit(0); // what is being compiled cannot be given up
          return 0;
        }
        if (generator.fallback !== null) {
          io.stderr.write(`The CPU writes the texts: ${generator.fallback}\n`);
        }
        server.open(generator, generator.num_slots);
        await server.until(signal);
      } finally {
        await server.stop();
        generator?.close();
      }
      return 0;
    },
    "Stopping: no more requests are taken, and those that there are have some seconds; Ctrl-C again quits at once.",
  );
});

if (import.meta.main) await run(main);
