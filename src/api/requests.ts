// The requests of OpenAI's interface, of their fields those that have a meaning here; others are ignored.

/** How texts are drawn. What is absent, or null, is as the model's own settings have it. */
export interface DrawingRequest {
  /** Any name: there is one model. */
  model?: string | null;
  /** 0 takes the likeliest token. */
  temperature?: number | null;
  /** Draw from the likeliest tokens that sum to this probability, 1 from all. */
  top_p?: number | null;
  /** Draw from so many of the likeliest tokens, 0 from all. */
  top_k?: number | null;
  /** Leave out tokens less likely than this part of the likeliest, 0 for none. */
  min_p?: number | null;
  /** Above 1 tokens that the text has already get less likely, 1 changes nothing. */
  repetition_penalty?: number | null;
  /** The same texts for the same seed; one at random where absent. */
  seed?: number | null;
  /** Where a text ends: before the first of these strings. */
  stop?: string | readonly string[] | null;
  /** What is added to the logits of some tokens, by their ids: -100 to 100. */
  logit_bias?: Readonly<Record<string, number>> | null;
  /** Whether the answer comes in pieces as it is drawn. */
  stream?: boolean | null;
}

/** What a stream tells beside its pieces. */
export interface StreamOptions {
  /** Whether a last chunk tells how many tokens there were. */
  include_usage?: boolean | null;
}

/** A request for texts that go on from some. */
export interface CompletionRequest extends DrawingRequest {
  /** A text, its tokens' ids, or a list of either; the beginning of a text where absent. */
  prompt?: string | readonly string[] | readonly number[] | readonly (readonly number[])[] | null;
  /** Tokens to write at most; as many as fill the context where absent. */
  max_tokens?: number | null;
  /** Texts for each prompt; that of number i is drawn by seed + i. */
  n?: number | null;
  /** Whether a text begins with its prompt. */
  echo?: boolean | null;
  /** Of so many of the likeliest tokens the log-probabilities are told at each place. */
  logprobs?: number | null;
  /** See {@link StreamOptions}. */
  stream_options?: StreamOptions | null;
}

/** A part of what is said. */
export interface TextPart {
  type: "text";
  text: string;
}

/** What one of those who take part says; a developer is the system. */
export interface ChatMessage {
  role: "system" | "developer" | "user" | "assistant";
  /** A text, or its parts, which get lines of their own. */
  content: string | readonly TextPart[];
}

/** A request for the assistant's next turn. */
export interface ChatCompletionRequest extends DrawingRequest {
  /** What was said, the user's at the end; the oldest turns are left out where the context has no room for them. */
  messages: readonly ChatMessage[];
  /** Tokens of the answer at most; as many as the context has room for where absent. */
  max_tokens?: number | null;
  /** The same by its newer name. */
  max_completion_tokens?: number | null;
  /** Answers; that of number i is drawn by seed + i. */
  n?: number | null;
  /** Whether the log-probabilities of the answer's tokens are told. */
  logprobs?: boolean | null;
  /** And those of so many of the likeliest tokens at each place. */
  top_logprobs?: number | null;
  /** See {@link StreamOptions}. */
  stream_options?: StreamOptions | null;
}

/** A request of the newer interface for the assistant's next turn. */
export interface ResponseRequest extends DrawingRequest {
  input: string | readonly ResponseInput[];
  instructions?: string | null;
  max_output_tokens?: number | null;
  truncation?: "auto" | "disabled" | null;
  metadata?: Readonly<Record<string, string>> | null;
}

/** A message of such a request. */
interface ResponseInput {
  type?: "message" | null;
  role: ChatMessage["role"];
  content: string | readonly { type: "input_text" | "output_text" | "text"; text: string }[];
}

/** A request for texts, as microgpt's first servers take it. */
export interface SamplesRequest {
  num_samples?: number | null;
  temperature?: number | null;
  seed?: number | null;
  max_tokens?: number | null;
}

/** One for an answer, as they take it. */
export interface AnswerRequest {
  messages: readonly ChatMessage[];
  temperature?: number | null;
  seed?: number | null;
  max_tokens?: number | null;
}
