// What the texts of a completion go on from: its prompts as tokens, which the context has room for.

import { plural } from "../count.ts";
import { RequestError } from "../errors.ts";
import type { Model } from "../files/model_files.ts";
import { type Beginning, beginningText } from "../generation/beginning.ts";
import { MOST_CHOICES } from "./fields.ts";
import type { CompletionRequest } from "./requests.ts";

type Prompt = string | readonly number[];

/**
 * What each prompt is, a part at a time, so that the event loop can be left free between them.
 * @throws RequestError naming the first prompt that the model cannot go on from
 */
export function* beginningTexts(
  request: CompletionRequest,
  model: Model,
): Generator<void, Beginning[]> {
  const prompts = promptsOf(request.prompt ?? "");
  const { n } = request;
  if (prompts.length * (n ?? 1) > MOST_CHOICES) {
    throw new RequestError(
      `n is ${n} for ${plural(prompts.length, "prompt")}; a request gets ${MOST_CHOICES} texts at most. Send several.`,
      { param: "n", code: "invalid_value" },
    );
  }
  const beginnings: Beginning[] = [];
  for (const [i, prompt] of prompts.entries()) {
    const path = prompts.length > 1 ? `prompt[${i}]` : "prompt";
    checkIds(prompt, path, model);
    beginnings.push(fitting(yield* beginningText(model, prompt), path, model));
  }
  return beginnings;
}

function promptsOf(prompt: NonNullable<CompletionRequest["prompt"]>): readonly Prompt[] {
  const isIds = Array.isArray(prompt) && typeof prompt[0] === "number";
  return typeof prompt === "string" || isIds ? [prompt as Prompt] : (prompt as readonly Prompt[]);
}

function checkIds(prompt: Prompt, path: string, { tokenizer }: Model): void {
  if (typeof prompt === "string") return;
  const at = prompt.findIndex((id) => id >= tokenizer.vocab_size);
  if (at < 0) return;
  throw new RequestError(
    `${path}[${at}] is ${prompt[at]}, but the model's tokens have the ids 0 to ${tokenizer.vocab_size - 1}.`,
    { param: path, code: "invalid_value" },
  );
}

function fitting(beginning: Beginning, path: string, { config }: Model): Beginning {
  const { tokens, shown } = beginning;
  const room = config.block_size - (tokens.length - shown.length);
  if (shown.length <= room) return beginning;
  throw new RequestError(
    `${path} has ${plural(shown.length, "token")}, and the model's context has room for ${room}; make it shorter.`,
    { param: path, code: "context_length_exceeded" },
  );
}
