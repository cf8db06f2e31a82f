// The assistant's next turn by OpenAI's newer interface: a request of /v1/responses to its object, or to the events of its
// stream. Nothing is kept: a response cannot be asked for later, nor gone on from.

import { RequestError } from "../errors.ts";
import { beginningAnswer } from "../generation/beginning.ts";
import type { Generator } from "../generation/from_model.ts";
import { Breather } from "../platform/breather.ts";
import { type Answer, type Tally, usageOf } from "./answer.ts";
import { drawingOf, type Piece, writeChoices } from "./choices.ts";
import { conversationOf } from "./conversation.ts";
import { newId } from "./id.ts";
import type {
  Answered,
  OutputMessage,
  OutputText,
  ResponseEvent,
  ResponseHappening,
  ResponseObject,
  ResponseUsage,
} from "./objects.ts";
import type { ResponseRequest } from "./requests.ts";

/** @throws RequestError, or what the model cannot answer, before anything is drawn */
export async function respond(
  generator: Generator,
  request: ResponseRequest,
  answered: Answered,
  signal?: AbortSignal,
): Promise<Answer<ResponseObject, ResponseEvent>> {
  const { model } = generator;
  const most = request.max_output_tokens ?? undefined;
  const { input, instructions, truncation } = request;
  const said = typeof input === "string" ? [{ role: "user", content: input } as const] : input;
  const first = instructions ? [{ role: "system", content: instructions } as const] : [];
  const work = beginningAnswer(model, conversationOf([...first, ...said]), most);
  const beginning = await new Breather().through(work, signal);
  if (truncation === "disabled" && beginning.num_left_out > 0) {
    throw new RequestError(
      `The context has no room for all of input, and truncation is "disabled"; make it shorter, or truncation "auto".`,
      { param: "input", code: "context_length_exceeded" },
    );
  }
  const options = {
    ...drawingOf(request),
    n: 1,
    ...(most ? { max_tokens: most } : {}),
    ...(signal ? { signal } : {}),
  };
  const pieces = writeChoices(generator, [beginning], options);
  const tally: Tally = { prompt: beginning.tokens.length, drawn: 0 };
  const { temperature, top_p } = { ...model.config, ...options };
  const response = begun(request, answered, temperature, top_p);
  const happenings = told(response, pieces, tally);
  if (request.stream) return { stream: numbered(happenings) };
  let object = response;
  for await (const happening of happenings) {
    if ("response" in happening) object = happening.response;
  }
  return { object };
}

function begun(
  request: ResponseRequest,
  { id, created, model }: Answered,
  temperature: number,
  top_p: number,
): ResponseObject {
  return {
    id,
    object: "response",
    created_at: created,
    completed_at: null,
    status: "in_progress",
    error: null,
    incomplete_details: null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    metadata: { ...request.metadata },
    model,
    output: [],
    parallel_tool_calls: false,
    previous_response_id: null,
    store: false,
    temperature,
    text: { format: { type: "text" } },
    tool_choice: "auto",
    tools: [],
    top_p,
    truncation: request.truncation ?? "auto",
  };
}

async function* told(
  response: ResponseObject,
  pieces: AsyncIterable<Piece>,
  tally: Tally,
): AsyncGenerator<ResponseHappening> {
  const item_id = newId("msg_");
  const at = { item_id, output_index: 0, content_index: 0 };
  const message = (status: OutputMessage["status"], content: OutputText[]): OutputMessage => {
    return { id: item_id, type: "message", status, role: "assistant", content };
  };
  const part = (text: string): OutputText => {
    return { type: "output_text", text, annotations: [], logprobs: [] };
  };
  yield { type: "response.created", response };
  yield { type: "response.in_progress", response };
  yield { type: "response.output_item.added", output_index: 0, item: message("in_progress", []) };
  yield { type: "response.content_part.added", ...at, part: part("") };
  let text = "";
  let status: "completed" | "incomplete" = "completed";
  for await (const piece of pieces) {
    tally.drawn++;
    text += piece.text;
    if (piece.text !== "") {
      yield { type: "response.output_text.delta", ...at, delta: piece.text, logprobs: [] };
    }
    if (piece.finish_reason === "length") status = "incomplete";
  }
  yield { type: "response.output_text.done", ...at, text, logprobs: [] };
  yield { type: "response.content_part.done", ...at, part: part(text) };
  const item = message(status, [part(text)]);
  yield { type: "response.output_item.done", output_index: 0, item };
  const whole: ResponseObject = {
    ...response,
    completed_at: status === "completed" ? Math.floor(Date.now() / 1000) : null,
    status,
    incomplete_details: status === "completed" ? null : { reason: "max_output_tokens" },
    output: [item],
    usage: responseUsage(tally),
  };
  yield { type: `response.${status}`, response: whole };
}

function responseUsage(tally: Tally): ResponseUsage {
  const { prompt_tokens, completion_tokens, total_tokens } = usageOf(tally);
  return {
    input_tokens: prompt_tokens,
    input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens: completion_tokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens,
  };
}

async function* numbered(
  happenings: AsyncIterable<ResponseHappening>,
): AsyncGenerator<ResponseEvent> {
  let sequence_number = 0;
  for await (const happening of happenings)
    yield { ...happening, sequence_number: sequence_number++ };
}
