// Tiny models behind a server, with real answers: one of names, and two of conversations.

import { Service } from "../../src/api/service.ts";
import type { Model } from "../../src/files/model_files.ts";
import { Generator } from "../../src/generation/from_model.ts";
import { Training } from "../../src/training/train.ts";
import { resolveConfig } from "../../src/config.ts";
import { conversations } from "../harness/conversations.ts";
import { trainedModel } from "../cli/talk.ts";
import { serveInTest, type TestOptions } from "./server.ts";

const opened = new Map<string, Promise<Generator>>();

async function openOnce(name: string, make: () => Promise<Model>): Promise<Generator> {
  const open = opened.get(name) ?? make().then((model) => Generator.open(model, "cpu"));
  opened.set(name, open);
  return open;
}

async function train(format: "chat" | "lines", documents: readonly string[], num_steps: number) {
  const config = resolveConfig("microgpt", { num_steps, block_size: 40, n_embd: 8, format });
  const training = await Training.open({ config, documents, device: "cpu" });
  for await (const _ of training.steps());
  return training.model();
}

/** Knows the harness's conversations. */
export const wiseGenerator = () => openOnce("wise", trainedModel);

/** Knows their letters and turns, and no more. */
export const chatGenerator = () =>
  openOnce("chat", () =>
    train(
      "chat",
      conversations.slice(0, 20).map((turns) => JSON.stringify(turns)),
      3,
    ),
  );

export const namesGenerator = () =>
  openOnce("names", () =>
    train("lines", ["ada", "grace", "alan", "barbara", "edsger", "john", "donald"], 60),
  );

/** Serves it as the command does. */
export async function serveModel(generator: Generator, options: TestOptions = {}) {
  const service = new Service(generator, { model: "tiny" });
  return serveInTest({
    generator,
    slots: generator.num_slots,
    answers: (turns) => service.by(turns),
    ...options,
  });
}
