// A line of JSON as people have them for training: a text, a prompt with its completion, or a conversation.

import { isObject, show } from "../../strict_json.ts";
import type { Conversation, Turn } from "../conversation.ts";

/** What a line holds, or what is wrong with it, as the rest of a sentence. */
export type Found = { text: string } | { conversation: Conversation } | { problem: string };

/** What a line may be, as a sentence. */
export function neededRecords(field: string): string {
  return (
    `A line of jsonl is {"${field}": "…"}, {"prompt": "…", "completion": "…"}, ` +
    `{"messages": [{"role": "user", "content": "…"}, …]}, or such a list by itself.`
  );
}

/** @param field the key of a text */
export function readRecord(line: string, field: string): Found {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    const inArray = line === "[" || line.endsWith("},");
    const advice = inArray ? ": its file seems to be one list, and each record needs a line" : "";
    return { problem: `is no JSON by itself${advice}` };
  }
  const found = recordIn(value, field);
  return "problem" in found ? found : (halves(found) ?? found);
}

function recordIn(value: unknown, field: string): Found {
  if (Array.isArray(value)) return conversationIn(value);
  if (!isObject(value)) return { problem: `is ${show(value)} and no object` };
  const has = (name: string) => Object.hasOwn(value, name);
  if (has(field)) return isText(value[field]) ? { text: value[field] } : noText(value, field);
  if (has("messages")) {
    const { messages } = value;
    if (Array.isArray(messages)) return conversationIn(messages);
    return { problem: `has ${show(messages)} as its messages and no list` };
  }
  if (has("prompt") && has("completion")) {
    const { prompt, completion } = value;
    if (!isText(prompt)) return noText(value, "prompt");
    if (!isText(completion)) return noText(value, "completion");
    return conversationOf([
      { role: "user", content: prompt },
      { role: "assistant", content: completion },
    ]);
  }
  const keys = Object.keys(value);
  const listed = keys.slice(0, 6).map((key) => show(key));
  const more = keys.length > listed.length ? ", …" : "";
  return {
    problem: keys.length === 0 ? `is {}` : `has the keys ${listed.join(", ")}${more}`,
  };
}

const isText = (value: unknown): value is string => typeof value === "string";

function noText(record: Record<string, unknown>, name: string): Found {
  return { problem: `has ${show(record[name])} as its ${show(name)} and no text` };
}

const roles: Record<Turn["role"], true> = { system: true, user: true, assistant: true };

function conversationIn(list: readonly unknown[]): Found {
  const turns: Turn[] = [];
  for (const [i, turn] of list.entries()) {
    const which = `turn ${i + 1}`;
    if (!isObject(turn)) return { problem: `has ${show(turn)} as its ${which} and no object` };
    const { role, content } = turn;
    if (!isText(role) || !Object.hasOwn(roles, role)) {
      const known = Object.keys(roles).join(", ");
      return {
        problem: `has a ${which} whose role is ${show(role)}, which is none of ${known}`,
      };
    }
    if (!isText(content)) {
      return { problem: `has a ${which} whose content is ${show(content)} and no text` };
    }
    turns.push({ role: role as Turn["role"], content });
  }
  return conversationOf(turns);
}

/** A conversation that something can be learnt from. */
function conversationOf(turns: Turn[]): Found {
  if (turns.length === 0) return { problem: "is a conversation without a turn" };
  const late = turns.findIndex(({ role }, i) => i > 0 && role === "system");
  if (late > 0)
    return { problem: `has a turn ${late + 1} of the system, which only the first may be` };
  if (!turns.some(({ role, content }) => role === "assistant" && content !== "")) {
    return { problem: "is a conversation in which the assistant says nothing" };
  }
  return { conversation: turns };
}

/** A character of which only one half is there has no bytes in UTF-8. */
function halves(found: Found): Found | undefined {
  const texts =
    "conversation" in found
      ? found.conversation.map(({ content }) => content)
      : "text" in found
        ? [found.text]
        : [];
  const bad = texts.some((text) => !text.isWellFormed());
  return bad ? { problem: "holds half a character (a surrogate without the other)" } : undefined;
}
