// The fields that several kinds of request have, and those of OpenAI's that models here have no use for, which are in the
// table where they would change the answer.

import { settings } from "../config/settings.ts";
import type { Sampling } from "../generation/generate.ts";
import type { DrawingRequest } from "./requests.ts";
import type { Schema } from "./schema.ts";

/** A row for each field of a request, and more that it only knows to refuse. */
export type Fields<Request> = Record<keyof Request, Schema> & Record<string, Schema>;

/** As OpenAI's chat has it. */
export const MOST_LOGPROBS = 20;
const MOST_STOPS = 16;
const MOST_STOP = 1000;

/** What the settings of that name may be. */
export function setting(name: keyof Sampling, more: Schema = {}): Schema {
  const { kind, min, above, max, help } = settings.find((each) => each.name === name)!;
  return {
    type: kind as "integer" | "number",
    description: `${help}.`,
    ...(min === undefined ? {} : above ? { exclusiveMinimum: min } : { minimum: min }),
    ...(max === undefined ? {} : { maximum: max }),
    ...more,
  };
}

export const text: Schema = { type: "string" };
export const seed: Schema = { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
export const most = { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER } as const;
export const never = (description: string, advice: string): Schema => ({
  description,
  enum: [],
  advice,
});

const noPenalty = (name: string): Schema => ({
  type: "number",
  description: `Of OpenAI's models; here 0 alone: repetition_penalty is what there is.`,
  minimum: 0,
  maximum: 0,
  default: 0,
  advice: `There is no ${name} here; repetition_penalty makes tokens less likely that the text has already.`,
});

const noTools = "Models here call no tools: leave it out.";
export const tools: Schema = {
  type: "array",
  maxItems: 0,
  description: "None: models here call none.",
  advice: noTools,
};
export const toolChoice: Schema = {
  enum: ["none", "auto"],
  description: "Of no consequence, as there are no tools.",
  advice: noTools,
};
export const format: Schema = {
  type: "object",
  required: ["type"],
  properties: { type: { enum: ["text"], advice: "Models here write text alone." } },
  description: "Text, and no other one.",
};

export const drawing: Fields<DrawingRequest> = {
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

export const n: Schema = {
  type: "integer",
  minimum: 1,
  maximum: 128,
  default: 1,
  description: "Texts for each prompt; that of number i is drawn by seed + i.",
};

export const streamOptions: Schema = {
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
