// Messages as clients write them, as a conversation.

import type { Conversation, Turn } from "../text/conversation.ts";
import type { ChatMessage } from "./requests.ts";

interface Message {
  role: ChatMessage["role"];
  content: string | readonly { text: string }[];
}

/** A developer is the system; the parts of what is said get lines of their own. */
export function conversationOf(messages: readonly Message[]): Conversation {
  return messages.map(({ role, content }): Turn => {
    const said = typeof content === "string" ? content : content.map(({ text }) => text).join("\n");
    return { role: role === "developer" ? "system" : role, content: said };
  });
}
