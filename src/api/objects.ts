// The objects of OpenAI's interface, as far as they are made here.

import type { FinishReason } from "../generation/draw.ts";

/** What an answer tells of its circumstances. */
export interface Answered {
  id: string;
  /** Seconds since 1970. */
  created: number;
  model: string;
  /** The same for the same model. */
  system_fingerprint: string;
}

/** How many tokens there were. */
export interface Usage {
  prompt_tokens: number;
  /** With those that end the texts. */
  completion_tokens: number;
  total_tokens: number;
}

/** Tokens of a text with their log-probabilities, place by place. */
export interface CompletionLogprobs {
  tokens: string[];
  /** null for the first token of a prompt, which follows nothing. */
  token_logprobs: (number | null)[];
  /** The likeliest tokens at each place, and the one that is there. */
  top_logprobs: (Record<string, number> | null)[];
  /** Characters of the text before each. */
  text_offset: number[];
}

/** A text. */
export interface CompletionChoice {
  index: number;
  text: string;
  logprobs: CompletionLogprobs | null;
  finish_reason: FinishReason;
}

/** Texts that go on from some. */
export interface Completion extends Answered {
  object: "text_completion";
  choices: CompletionChoice[];
  usage: Usage;
}

/** What was just added to a text. */
export interface CompletionChunkChoice extends Omit<CompletionChoice, "finish_reason"> {
  finish_reason: FinishReason | null;
}

/** A piece of such an answer. */
export interface CompletionChunk extends Answered {
  object: "text_completion";
  choices: CompletionChunkChoice[];
  /** Where it is asked for: of the last chunk, null of the others. */
  usage?: Usage | null;
}

/** How likely a token was. */
export interface ChatTokenLogprob {
  token: string;
  /** In UTF-8; null of a special token. */
  bytes: number[] | null;
  logprob: number;
}

/** A token of an answer. */
export interface ChatLogprob extends ChatTokenLogprob {
  top_logprobs: ChatTokenLogprob[];
}

/** The tokens of an answer, with that which ended it. */
export interface ChatLogprobs {
  content: ChatLogprob[];
  refusal: null;
}

/** What the assistant says. */
export interface AssistantMessage {
  role: "assistant";
  content: string;
  refusal: null;
}

/** An answer of the assistant. */
export interface ChatCompletionChoice {
  index: number;
  message: AssistantMessage;
  logprobs: ChatLogprobs | null;
  finish_reason: FinishReason;
}

/** The assistant's next turn. */
export interface ChatCompletion extends Answered {
  object: "chat.completion";
  choices: ChatCompletionChoice[];
  usage: Usage;
}

/** What was just added to an answer. */
export interface ChatCompletionChunkChoice {
  index: number;
  /** `role` first of all, and nothing at the end. */
  delta: { role?: "assistant"; content?: string };
  logprobs: ChatLogprobs | null;
  finish_reason: FinishReason | null;
}

/** A piece of the assistant's next turn. */
export interface ChatCompletionChunk extends Answered {
  object: "chat.completion.chunk";
  choices: ChatCompletionChunkChoice[];
  /** Where it is asked for: of the last chunk, null of the others. */
  usage?: Usage | null;
}

/** What there is to ask. */
export interface ModelList {
  object: "list";
  data: { id: string; object: "model"; created: number; owned_by: string }[];
}

export interface OutputText {
  type: "output_text";
  text: string;
  annotations: [];
  logprobs: [];
}

export interface OutputMessage {
  id: string;
  type: "message";
  status: "in_progress" | "completed" | "incomplete";
  role: "assistant";
  content: OutputText[];
}

export interface ResponseObject {
  id: string;
  object: "response";
  created_at: number;
  completed_at: number | null;
  status: "in_progress" | "completed" | "incomplete";
  error: null;
  incomplete_details: { reason: "max_output_tokens" } | null;
  instructions: string | null;
  max_output_tokens: number | null;
  metadata: Record<string, string>;
  model: string;
  output: OutputMessage[];
  parallel_tool_calls: boolean;
  previous_response_id: null;
  store: false;
  temperature: number;
  text: { format: { type: "text" } };
  tool_choice: "auto";
  tools: [];
  top_p: number;
  truncation: "auto" | "disabled";
  /** Of one that is whole. */
  usage?: ResponseUsage;
}

export interface ResponseUsage {
  input_tokens: number;
  input_tokens_details: { cached_tokens: number; cache_write_tokens: number };
  output_tokens: number;
  output_tokens_details: { reasoning_tokens: number };
  total_tokens: number;
}

interface OfPart {
  item_id: string;
  output_index: number;
  content_index: number;
}

/** What happens in a stream of the newer interface, before it is numbered. */
export type ResponseHappening =
  | {
      type:
        | "response.created"
        | "response.in_progress"
        | "response.completed"
        | "response.incomplete";
      response: ResponseObject;
    }
  | {
      type: "response.output_item.added" | "response.output_item.done";
      output_index: number;
      item: OutputMessage;
    }
  | ({
      type: "response.content_part.added" | "response.content_part.done";
      part: OutputText;
    } & OfPart)
  | ({ type: "response.output_text.delta"; delta: string; logprobs: [] } & OfPart)
  | ({ type: "response.output_text.done"; text: string; logprobs: [] } & OfPart);

/** Numbered from 0. */
export type ResponseEvent = ResponseHappening & { sequence_number: number };
