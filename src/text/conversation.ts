// A conversation, as chat models are trained on.

/** What one of those who take part says. */
export interface Turn {
  role: "system" | "user" | "assistant";
  content: string;
}

export type Conversation = readonly Turn[];
