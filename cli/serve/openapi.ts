// The OpenAPI document, made from the table of fields that checks requests.

import { type RequestKind, requestSchemas } from "../../src/api/fields.ts";
import { toJsonSchema } from "../../src/api/schema.ts";
import { calls } from "./api.ts";
import type { Route } from "./app.ts";

/** What is done with each kind of request. */
const summaries: Record<RequestKind, string> = {
  samples: "Texts, the same ones for the same seed.",
  answer: "The assistant's next turn in a conversation.",
  completions: "Texts that go on from a prompt, as OpenAI's API has it.",
  chatCompletions: "The assistant's next turn in a conversation, as OpenAI's API has it.",
  responses: "The assistant's next turn, as OpenAI's newer API has it.",
};

const gets: Readonly<Record<string, string>> = {
  "/health":
    "Whether requests are answered: 200, or 503 while the model is loaded or the server about to stop.",
  "/metrics": "What the server counts, in the text that Prometheus reads.",
  "/openapi.json": "This document.",
  "/v1/models": "The model, as OpenAI's API lists it.",
  "/v1/models/{id}": "The model, by its name.",
};

export function openApiRoute(version: string, isKeyed: boolean): Route {
  const document = openApiDocument(version, isKeyed);
  return { method: "GET", path: "/openapi.json", handle: (c) => c.json(document) };
}

function openApiDocument(version: string, isKeyed: boolean): object {
  const posts = Object.entries(calls).map(([path, { kind }]) => [
    path,
    { post: { operationId: kind, summary: summaries[kind], ...requestOf(kind), responses } },
  ]);
  const others = Object.entries(gets).map(([path, summary]) => [
    path,
    {
      ...(path.includes("{id}") ? { parameters: [id] } : {}),
      get: {
        summary,
        responses: { 200: { description: "It is." } },
        ...(path === "/health" ? { security: [] } : {}),
      },
    },
  ]);
  return {
    openapi: "3.1.0",
    info: {
      title: "microgpt-webgpu",
      version,
      description:
        "A model that was trained here, over HTTP. Fields of OpenAI's APIs that are not listed are ignored.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    paths: Object.fromEntries([...posts, ...others]),
    ...(isKeyed
      ? {
          security: [{ key: [] }],
          components: { securitySchemes: { key: { type: "http", scheme: "bearer" } } },
        }
      : {}),
  };
}

const id = { name: "id", in: "path", required: true, schema: { type: "string" } };

function requestOf(kind: RequestKind): object {
  const schema = toJsonSchema(requestSchemas[kind]);
  return { requestBody: { required: true, content: { "application/json": { schema } } } };
}

const responses = {
  200: { description: "The answer, or with `stream` a stream of its parts." },
  400: { description: "The request cannot be answered; the error names the field." },
  401: { description: "The API key is missing, or another one." },
  413: { description: "The body is too large." },
  415: { description: "The body is no JSON." },
  429: { description: "The client makes too many requests; Retry-After says when to come back." },
  503: { description: "The server is busy; Retry-After says when to come back." },
  504: { description: "The request took too long." },
};
