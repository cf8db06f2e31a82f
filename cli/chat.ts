// A chat with a saved model of conversations.
//
//   npm run train -- --chat --input conversations.jsonl --output chat
//   npm run chat -- --model-dir chat

import { isChat } from "../src/choices.ts";
import { UserError } from "../src/errors.ts";
import { loadBest, loadModel } from "../src/files/model_dir.node.ts";
import { commandLine } from "../src/platform/invocation.ts";
import { saidTokens } from "../src/text/chat.ts";
import type { Turn } from "../src/text/conversation.ts";
import { ChatSession } from "./chat_session.ts";
import { command } from "./command.ts";
import { dialogue } from "./dialogue.ts";
import { deviceOptions, openGenerator } from "./open_generator.ts";
import * as options from "./options.ts";
import { run } from "./run.ts";
import { samplingIn, samplingOptions } from "./sampling.ts";

const system: options.Option = {
  flag: "system",
  env: [],
  value: "TEXT",
  help: "what the system says first, to a model that was trained on conversations that begin so",
};

const description = {
  name: "chat",
  summary:
    "Talks with a saved model that was trained on conversations. Lines are what the user says; /help lists what else there is.",
  options: [
    options.modelDir,
    options.best,
    system,
    ...deviceOptions,
    ...samplingOptions(["num_samples"]),
  ],
};

export const main = command(description, async (flags, io) => {
  const { num_samples: _, ...sampling } = samplingIn(flags);
  const instruction = flags.text(system);
  const folder = flags.text(options.modelDir);
  const model = flags.has(options.best) ? loadBest(folder) : loadModel(folder);
  if (!isChat(model.config.format)) throw notTrained(folder);
  const first: Turn[] = instruction === undefined ? [] : [{ role: "system", content: instruction }];
  for (const turn of first) saidTokens(model.tokenizer, turn); // what it does not know is told at once

  const generator = await openGenerator(flags, model, io, { num_slots: 1 });
  if (generator.fallback !== null) io.stderr.write(`The CPU answers: ${generator.fallback}\n`);
  const json = flags.has(options.json);
  const { block_size } = model.config;
  const session = new ChatSession(generator, { first, sampling, block_size, json }, io);
  try {
    return await dialogue(io, {
      prompt: "> ",
      welcome: `The model in ${folder} answers; /help tells what else there is, /quit or Ctrl-D ends the chat.`,
      json,
      respond: (line, signal) => session.respond(line, signal),
    });
  } finally {
    generator.close();
  }
});

function notTrained(folder: string): UserError {
  const name = "conversations.jsonl";
  const train = commandLine("train", "--chat", "--input", name, "--output", "chat");
  return new UserError(
    `The model in ${folder} was not trained on conversations, so it answers nobody. Train one by ${train}, where every ` +
      `line of ${name} is one: [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}].`,
  );
}

if (import.meta.main) await run(main);
