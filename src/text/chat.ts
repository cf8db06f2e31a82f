// A conversation as tokens, in microgpt's document layout: BOS, then each turn as the token of its role, what it says
// and the token of its end, then BOS. What is said is encoded as text is, so that nobody can write a special token.

import { ConversationError, ModelFileError } from "../errors.ts";
import { finish } from "../finish.ts";
import { encodingPrompt } from "../tokenizer/prompt.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Conversation, Turn } from "./conversation.ts";

const roles: Record<Turn["role"], string> = {
  system: "<|system|>",
  user: "<|user|>",
  assistant: "<|assistant|>",
};
const END_TURN = "<|end_turn|>";

/** The special tokens of some conversations. */
export function chatTokens(conversations: readonly Conversation[]): string[] {
  const system = conversations.some((turns) => turns.some(({ role }) => role === "system"));
  return [roles.user, roles.assistant, END_TURN, ...(system ? [roles.system] : [])];
}

/** The tokenizer with these special tokens, of which it may have some already. */
export function withTokens(tokenizer: Tokenizer, names: readonly string[]): Tokenizer {
  const missing = names.filter((name) => !tokenizer.special.has(name));
  return missing.length === 0 ? tokenizer : tokenizer.withSpecial(missing);
}

/** Ids of a chat's special tokens. */
export interface ChatIds {
  readonly role: Readonly<Record<"user" | "assistant", number>> & { readonly system?: number };
  readonly end_turn: number;
}

/** @throws ModelFileError if the tokenizer lacks one of them */
export function chatIds({ special }: Tokenizer): ChatIds {
  const id = (name: string) => {
    const found = special.get(name);
    if (found !== undefined) return found;
    throw new ModelFileError(
      `The tokenizer of the chat model has no special token ${name}; train it again, or take another model.`,
    );
  };
  return {
    role: {
      user: id(roles.user),
      assistant: id(roles.assistant),
      system: special.get(roles.system),
    },
    end_turn: id(END_TURN),
  };
}

/** Whether the tokenizer has all special tokens without which there is no chat. */
export function isOfChat({ special }: Tokenizer): boolean {
  return [roles.user, roles.assistant, END_TURN].every((name) => special.has(name));
}

/** Of a text, to be answered. */
const MOST_QUESTIONS = 20;

/** What users say first, of the last conversations in an order, which are those that are held out. */
export function firstQuestions(
  conversations: readonly Conversation[],
  order: Uint32Array,
): string[] {
  const asked = Array.from(order.slice(-MOST_QUESTIONS), (d) =>
    conversations[d]?.find(({ role }) => role === "user"),
  );
  return asked.flatMap((turn) => (turn ? [turn.content] : []));
}

/**
 * A turn's tokens.
 * @throws ConversationError if it is the system's, and the model knows no such turns
 * @throws UnknownCharacterError if it has a character that the tokenizer has no id for
 */
export function turnTokens(
  tokenizer: Tokenizer,
  { role, content }: Turn,
  encode = (text: string): Iterable<number> => tokenizer.encode(text),
): number[] {
  const { role: roles, end_turn } = chatIds(tokenizer);
  const id = roles[role];
  if (id !== undefined) return [id, ...encode(content), end_turn];
  throw new ConversationError(
    `The model knows no turn of the ${role}: no conversation that it was trained on has one. Leave it out, or train on ` +
      `some that begin with {"role": "${role}", "content": "…"}.`,
  );
}

/**
 * Those of a turn that somebody writes for a model, of which every part needs a token of its own.
 * @throws ConversationError or UnknownCharacterError as turnTokens, the latter for unknown words too
 */
export function saidTokens(tokenizer: Tokenizer, turn: Turn): number[] {
  return finish(sayingTokens(tokenizer, turn));
}

/** The same, a part at a time, so that the event loop can be left free between them. */
export function* sayingTokens(tokenizer: Tokenizer, turn: Turn): Generator<void, number[]> {
  const ids = yield* encodingPrompt(tokenizer, turn.content);
  return turnTokens(tokenizer, turn, () => ids);
}

/** What comes before the answer to what a user says. */
export function promptTokens(tokenizer: Tokenizer, prompt: string): number[] {
  const { role } = chatIds(tokenizer);
  const turn = turnTokens(tokenizer, { role: "user", content: prompt });
  return [tokenizer.bos, ...turn, role.assistant];
}

/** The text of tokens with the names of the special ones in their places, without BOS. */
export function chatText(tokenizer: Tokenizer, ids: readonly number[]): string {
  const names = new Map([...tokenizer.special].map(([name, id]) => [id, name]));
  let text = "";
  let said: number[] = [];
  for (const id of ids) {
    const name = names.get(id);
    if (name === undefined) {
      said.push(id);
      continue;
    }
    text += tokenizer.decode(said) + (id === tokenizer.bos ? "" : name);
    said = [];
  }
  return text + tokenizer.decode(said);
}

/** The names of a chat's special tokens: of the roles that the model knows, and of a turn's end. */
export function chatNames({ special }: Tokenizer) {
  const all = Object.entries(roles) as [Turn["role"], string][];
  const known = all.map(([role, name]) => ({ role, name })).filter(({ name }) => special.has(name));
  return { roles: known, end: END_TURN, assistant: roles.assistant };
}

/** The same layout as a template in Jinja, by which other programs write conversations for the model. */
export function chatTemplate(tokenizer: Tokenizer): string {
  const known = chatNames(tokenizer).roles.map(({ role }) => role);
  const list = known.map((role) => `'${role}'`).join(", ");
  return [
    `{{- bos_token -}}`,
    `{%- for message in messages -%}`,
    `{%- if message['role'] not in [${list}] -%}`,
    `{{- raise_exception('There is no role ' + message['role'] + ' here; known are ${known.join(", ")}.') -}}`,
    `{%- endif -%}`,
    `{{- '<|' + message['role'] + '|>' + message['content'] + '${END_TURN}' -}}`,
    `{%- endfor -%}`,
    `{%- if add_generation_prompt -%}{{- '${roles.assistant}' -}}{%- endif -%}`,
    ``,
  ].join("\n");
}
