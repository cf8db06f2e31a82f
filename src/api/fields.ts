// The fields of each request: they are checked by this table, and clients are told of it. OpenAI's others are ignored.

import type {
  AnswerRequest,
  ChatCompletionRequest,
  CompletionRequest,
  ResponseRequest,
  SamplesRequest,
} from "./requests.ts";
import type { Schema } from "./schema.ts";
import {
  drawing,
  type Fields,
  format,
  MOST_LOGPROBS,
  most,
  n,
  never,
  seed,
  setting,
  streamOptions,
  text,
  toolChoice,
  tools,
} from "./shared_fields.ts";

/** Texts of a request at most: of all prompts together. */
export const MOST_CHOICES = 256;

const ids: Schema = { type: "array", items: { type: "integer", minimum: 0 }, minItems: 1 };

const completionFields: Fields<CompletionRequest> = {
  ...drawing,
  prompt: {
    default: "",
    description:
      "A text, its tokens' ids, or a list of either. Ids may be those of special tokens; a text never becomes some.",
    anyOf: [
      text,
      { type: "array", items: text, minItems: 1, maxItems: MOST_CHOICES },
      ids,
      { type: "array", items: ids, minItems: 1, maxItems: MOST_CHOICES },
    ],
  },
  max_tokens: setting("max_tokens", {
    description:
      "Tokens to write at most; as many as fill the context where absent. Beyond it the window slides.",
  }),
  n,
  echo: {
    type: "boolean",
    default: false,
    description: "Whether a text begins with its prompt.",
  },
  logprobs: {
    type: "integer",
    minimum: 0,
    maximum: MOST_LOGPROBS,
    description: "Of so many of the likeliest tokens the log-probabilities are told at each place.",
  },
  stream_options: streamOptions,
  best_of: {
    type: "integer",
    minimum: 1,
    maximum: 1,
    description: "1 alone: n gives several texts.",
    advice: "Models here choose none of several texts; n gives all of them.",
  },
  suffix: {
    type: "string",
    maxLength: 0,
    description: "None: models here write what comes next.",
    advice: "Models here write what comes next, with no regard to a suffix: leave it out.",
  },
};

const messagesOf = (types: readonly string[], properties: Record<string, Schema> = {}): Schema => ({
  type: "array",
  minItems: 1,
  items: {
    type: "object",
    required: ["role", "content"],
    properties: {
      ...properties,
      role: { enum: ["system", "developer", "user", "assistant"] },
      content: {
        anyOf: [
          text,
          {
            type: "array",
            minItems: 1,
            items: {
              type: "object",
              required: ["type", "text"],
              properties: {
                type: { enum: types, advice: "Models here read text alone." },
                text,
              },
            },
          },
        ],
      },
    },
  },
});

const messages: Schema = {
  ...messagesOf(["text"]),
  description:
    "What was said, the user's at the end. The oldest turns are left out where the context has no room for them.",
};

const chatCompletionFields: Fields<ChatCompletionRequest> = {
  ...drawing,
  messages,
  max_tokens: { ...most, description: "Tokens of the answer at most." },
  max_completion_tokens: { ...most, description: "The same by its newer name." },
  n,
  logprobs: {
    type: "boolean",
    default: false,
    description: "Whether the log-probabilities of the answer's tokens are told.",
  },
  top_logprobs: {
    type: "integer",
    minimum: 0,
    maximum: MOST_LOGPROBS,
    description:
      "And those of so many of the likeliest tokens at each place; logprobs must be true.",
  },
  stream_options: streamOptions,
  tools,
  functions: tools,
  tool_choice: toolChoice,
  function_call: toolChoice,
  response_format: format,
  modalities: {
    type: "array",
    items: { enum: ["text"], advice: "Models here write text alone." },
    description: "Text, and no other one.",
  },
};

const responseFields: Fields<ResponseRequest> = {
  ...drawing,
  input: {
    description: "What the user says, or all that was said, the user's at the end.",
    anyOf: [
      text,
      messagesOf(["input_text", "output_text", "text"], { type: { enum: ["message"] } }),
    ],
  },
  instructions: { type: "string", description: "What the system says, before all else." },
  max_output_tokens: { ...most, description: "Tokens of the answer at most." },
  truncation: {
    enum: ["auto", "disabled"],
    default: "auto",
    description:
      "Whether the oldest turns are left out where the context has no room for them, or the request is refused.",
  },
  metadata: {
    type: "object",
    additionalProperties: text,
    description: "Given back as it is.",
  },
  tools,
  tool_choice: toolChoice,
  text: { type: "object", properties: { format }, description: "How the answer is formatted." },
  top_logprobs: {
    type: "integer",
    minimum: 0,
    maximum: 0,
    description: "0 alone: chat completions tell log-probabilities.",
    advice: "Log-probabilities are told by chat completions.",
  },
  store: {
    enum: [false],
    default: false,
    description: "Nothing is kept.",
    advice: "Nothing is kept here between requests: leave it out.",
  },
  background: {
    enum: [false],
    default: false,
    description: "The answer comes at once.",
    advice: "Nothing is kept here between requests: leave it out.",
  },
  previous_response_id: never(
    "None: nothing is kept.",
    "Nothing is kept here between requests: give all that was said as input.",
  ),
  conversation: never(
    "None: nothing is kept.",
    "Nothing is kept here between requests: give all that was said as input.",
  ),
  prompt: never("None: there are no templates.", "There are no templates here: give input."),
};

const ofSeeds = {
  temperature: setting("temperature", { default: 0.5 }),
  seed: { ...seed, default: 42, description: "The same texts for the same seed." },
};

export const samplesFields: Fields<SamplesRequest> = {
  num_samples: {
    type: "integer",
    minimum: 1,
    maximum: 50,
    default: 1,
    description: "Texts to write.",
  },
  ...ofSeeds,
  max_tokens: setting("max_tokens"),
};

export const answerFields: Fields<AnswerRequest> = {
  messages,
  ...ofSeeds,
  max_tokens: setting("max_tokens"),
};

const request = (properties: Record<string, Schema>, required: string[] = []): Schema => ({
  type: "object",
  properties,
  ...(required.length > 0 ? { required } : {}),
});

/** What each request's body has to be, by the names of Service's methods. */
export const requestSchemas = {
  completions: request(completionFields),
  chatCompletions: request(chatCompletionFields, ["messages"]),
  responses: request(responseFields, ["input"]),
  // They have no others to ignore.
  samples: { ...request(samplesFields), additionalProperties: false },
  answer: { ...request(answerFields, ["messages"]), additionalProperties: false },
} as const satisfies Record<string, Schema>;

export type RequestKind = keyof typeof requestSchemas;
