// Two hundred conversations of our own making, small enough that a tiny model learns to answer them.

import type { Conversation } from "../../src/text/conversation.ts";

const things = ["cat", "dog", "sun", "sea", "owl", "bee", "fox", "oak", "ice", "bus"];
const colours = ["red", "blue", "grey", "gold", "pink"];

/** What the assistant answers. */
function answerTo(question: string): string {
  const [, colour, thing] = /^my (\w+) (\w+)$/.exec(question) ?? [];
  return thing ? `the ${thing} is ${colour}` : "yes";
}

export const conversations: Conversation[] = Array.from({ length: 200 }, (_, i) => {
  const question = `my ${colours[i % 5]} ${things[Math.floor(i / 5) % 10]}`;
  const first = [
    { role: "user", content: question } as const,
    { role: "assistant", content: answerTo(question) } as const,
  ];
  if (i % 4 > 0) return first;
  return [...first, { role: "user", content: "sure?" }, { role: "assistant", content: "yes" }];
});

/** As a file has them. */
export const jsonLines = conversations.map((turns) => `${JSON.stringify(turns)}\n`).join("");
