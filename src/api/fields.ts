// The fields of each request: they are checked by this table, and clients are told of it. Fields of OpenAI's that models
// here have no use for are in it where they would change the answer; the others are ignored.

import { settings } from "../config/settings.ts";
import type { Sampling } from "../generation/generate.ts";
import type {
  AnswerRequest,
  ChatCompletionRequest,
  CompletionRequest,
  DrawingRequest,
  ResponseRequest,
  SamplesRequest,
} from "./requests.ts";
import type { Schema } from "./schema.ts";

type Fields<Request> = Record<keyof Request, Schema> & Record<string, Schema>;

/** Texts of a request at most: of all prompts together. */
export const MOST_CHOICES = 256;
/** As OpenAI's chat has it. */
const MOST_LOGPROBS = 20;
const MOST_STOPS = 16;
const MOST_STOP = 1000;

/** What the settings of that name may be. */
function setting(name: keyof Sampling, more: Schema = {}): Schema {
  const { kind, min, above, max, help } = settings.find((each) => each.name === name)!;
  return {
    type: kind as "integer" | "number",
    description: `${help}.`,
    ...(min === undefined ? {} : above ? { exclusiveMinimum: min } : { minimum: min }),
    ...(max === undefined ? {} : { maximum: max }),
    ...more,
  };
}

const text: Schema = { type: "string" };
const seed: Schema = { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
const most = { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER } as const;
const never = (description: string, advice: string): Schema => ({ description, enum: [], advice });

const noPenalty = (name: string): Schema => ({
  type: "number",
  description: `Of OpenAI's models; here 0 alone: repetition_penalty is what there is.`,
  minimum: 0,
  maximum: 0,
  default: 0,
  advice: `There is no ${name} here; repetition_penalty makes tokens less likely that the text has already.`,
});

const noTools = "Models here call no tools: leave it out.";
const tools: Schema = {
  type: "array",
  maxItems: 0,
  description: "None: models here call none.",
  advice: noTools,
};
const toolChoice: Schema = {
  enum: ["none", "auto"],
  description: "Of no consequence, as there are no tools.",
  advice: noTools,
};
const format: Schema = {
  type: "object",
  required: ["type"],
  properties: { type: { enum: ["text"], advice: "Models here write text alone." } },
  description: "Text, and no other one.",
};

const drawing: Fields<DrawingRequest> = {
  model: { type: "string", description: "Any name: there is one model." },
  temperature: setting("temperature"),
  top_p: setting("top_p"),
  top_k: setting("top_k"),
  min_p: setting("min_p"),
  repetition_penalty: setting("repetition_penalty"),
  presence_penalty: noPenalty("presence_penalty"),
  frequency_penalty: noPenalty("frequency_penalty"),
  seed: { ...seed, description: "The same texts for the same seed; at random where absent." },
  stop: {
    description: "Strings before the first of which a text ends.",
    anyOf: [
      { type: "string", minLength: 1, maxLength: MOST_STOP },
      {
        type: "array",
        maxItems: MOST_STOPS,
        items: { type: "string", minLength: 1, maxLength: MOST_STOP },
      },
    ],
  },
  logit_bias: {
    type: "object",
    description: "What is added to the logits of some tokens, by their ids.",
    additionalProperties: { type: "number", minimum: -100, maximum: 100 },
  },
  stream: {
    type: "boolean",
    default: false,
    description: "Whether the answer comes in pieces, as server-sent events.",
  },
};

const n: Schema = {
  type: "integer",
  minimum: 1,
  maximum: 128,
  default: 1,
  description: "Texts for each prompt; that of number i is drawn by seed + i.",
};

const streamOptions: Schema = {
  type: "object",
  description: "What a stream tells beside its pieces.",
  properties: {
    include_usage: {
      type: "boolean",
      default: false,
      description: "Whether a last chunk tells how many tokens there were.",
    },
  },
};

const ids: Schema = { type: "array", items: { type: "integer", minimum: 0 }, minItems: 1 };

export const completionFields: Fields<CompletionRequest> = {
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

export const chatCompletionFields: Fields<ChatCompletionRequest> = {
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

export const responseFields: Fields<ResponseRequest> = {
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
  samples: request(samplesFields),
  answer: request(answerFields, ["messages"]),
} as const;

export type RequestKind = keyof typeof requestSchemas;
