// A conversation, as chat models are trained on.

/** What one of those who take part says. */
export interface Turn {
  role: "system" | "user" | "assistant";
  content: string;
}

/** What was said, in its order. */
export type Conversation = readonly Turn[];
