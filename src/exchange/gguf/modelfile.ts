// What Ollama is told about a model that it gets as GGUF: how a conversation is written, when an answer ends, and how
// tokens are drawn.

import { isChat } from "../../choices.ts";
import type { Model } from "../../files/model_files.ts";
import { chatNames } from "../../text/chat.ts";

/** @param file the model's GGUF, beside the Modelfile */
export function modelfile(
  { config, tokenizer }: Pick<Model, "config" | "tokenizer">,
  file: string,
): string {
  const { temperature, top_k, top_p, min_p, repetition_penalty, block_size, max_tokens } = config;
  const names = isChat(config.format) ? chatNames(tokenizer) : undefined;
  const template = names === undefined ? "{{ .Prompt }}" : chatOf(names);
  const stops = names === undefined ? [] : [names.end, ...names.roles.map(({ name }) => name)];
  return [
    `FROM ./${file}`,
    `TEMPLATE """${template}"""`,
    ...stops.map((name) => `PARAMETER stop "${name}"`),
    `PARAMETER temperature ${temperature}`,
    `PARAMETER top_k ${top_k}`,
    `PARAMETER top_p ${top_p}`,
    `PARAMETER min_p ${min_p}`,
    `PARAMETER repeat_penalty ${repetition_penalty}`,
    ...(repetition_penalty === 1 ? [] : [`PARAMETER repeat_last_n -1`]), // as here: on all that the text has
    `PARAMETER num_ctx ${block_size}`,
    ...(max_tokens > 0 ? [`PARAMETER num_predict ${max_tokens}`] : []),
    ``,
  ].join("\n");
}

/** In the template language of Go. BOS is not written: it comes before whatever the model reads. */
function chatOf({ roles, end, assistant }: ReturnType<typeof chatNames>): string {
  const turns = roles.map(
    ({ role, name }) => `{{ if eq .Role "${role}" }}${name}{{ .Content }}${end}{{ end }}`,
  );
  return `{{ range .Messages }}${turns.join("")}{{ end }}${assistant}`;
}
