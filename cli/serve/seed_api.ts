// microgpt's own API: texts, or an answer, by their seed; an error is a sentence.

import type { Context } from "hono";
import { checkValue, type Schema } from "../../src/api/schema.ts";
import type { Turn } from "../../src/text/conversation.ts";
import type { Env, Route } from "./app.ts";
import { readJson } from "./body.ts";
import { exchangeOf } from "./exchange.ts";
import type { Job } from "./job.ts";
import type { Serving } from "./serving.ts";

const sampling: Readonly<Record<string, Schema>> = {
  temperature: {
    type: "number",
    minimum: 0,
    default: 0.5,
    description: "Of sampling; 0 takes the likeliest token.",
  },
  seed: {
    type: "integer",
    minimum: 0,
    default: 42,
    description: "Of the random numbers: the same seed gives the same text.",
  },
  max_tokens: {
    type: "integer",
    minimum: 0,
    default: 0,
    description: "Tokens that a text has at most; 0 until the context is full.",
  },
};

export const generateSchema: Schema = {
  type: "object",
  properties: {
    num_samples: {
      type: "integer",
      minimum: 1,
      maximum: 50,
      default: 1,
      description: "Texts to write.",
    },
    ...sampling,
  },
};

export const chatSchema: Schema = {
  type: "object",
  properties: {
    messages: {
      type: "array",
      minItems: 1,
      items: {
        type: "object",
        properties: {
          role: { type: "string", enum: ["system", "user", "assistant"] },
          content: { type: "string" },
        },
        required: ["role", "content"],
      },
      description: "What was said so far, the user's last.",
    },
    ...sampling,
  },
  required: ["messages"],
};

interface Sampling {
  temperature: number;
  seed: number;
  max_tokens: number;
}

export function seedRoutes(serving: Serving, body_ms: number): Route[] {
  /** A body that is as the schema says, with the defaults of what is not in it; and a job for it. */
  const route = (
    path: string,
    schema: Schema,
    work: (job: Job, body: Record<string, any>) => Promise<object>,
  ): Route => ({
    method: "POST",
    path,
    handle: async (c: Context<Env>) => {
      const { incoming, outgoing } = c.env;
      const body = await readJson(incoming, body_ms);
      exchangeOf(outgoing).prompt = body;
      checkValue(schema, body, "");
      const job = serving.begin(outgoing);
      try {
        return c.json(await job.run(() => work(job, withDefaults(schema, body))));
      } finally {
        job.end();
      }
    },
  });

  return [
    route("/microgpt/v1/generate", generateSchema, async (job, body) => {
      const samples: string[] = [];
      const options = body as Sampling & { num_samples: number };
      for await (const event of job.generator(serving.generator).write(options)) {
        if (event.type === "sample") samples.push(event.text);
      }
      return { samples };
    }),
    route("/microgpt/v1/chat", chatSchema, async (job, { messages, ...body }) => {
      const turns = messages as Turn[];
      let content = "";
      for await (const event of job.generator(serving.generator).answer(turns, body as Sampling)) {
        if (event.type === "answer") ({ content } = event);
      }
      return { role: "assistant", content };
    }),
  ];
}

/** The fields that the schema knows, those that are absent or null by their defaults. */
function withDefaults(
  { properties = {} }: Schema,
  body: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, body[name] ?? schema.default]),
  );
}
