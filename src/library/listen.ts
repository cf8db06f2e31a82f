// The worker's side: does what is asked in messages, with the one model that it has.

import { UserError } from "../errors.ts";
import { load } from "./load.ts";
import type { LoadedModel } from "./loaded_model.ts";
import type { Call, Failure, Question, Reply, WorkerLike } from "./messages.ts";
import { sent } from "./sent_error.ts";

/** The worker itself, or the end of a channel. */
interface Scope extends WorkerLike {
  close?(): void;
}

export function listen(scope: Scope): void {
  const desk = new Desk(scope);
  scope.addEventListener("message", (event) => {
    const { data } = event as MessageEvent<Question>;
    desk.take(data).catch((error: unknown) => {
      desk.forget(data.id);
      scope.postMessage({ id: data.id, error: sent(error) } satisfies Failure);
    });
  });
}

/** A call that is not answered yet, or is a stream that goes on. */
interface Open {
  leaving: AbortController;
  items?: AsyncIterator<unknown>;
}

class Desk {
  private readonly scope: Scope;
  private model: LoadedModel | undefined;
  private readonly open = new Map<number, Open>();

  constructor(scope: Scope) {
    this.scope = scope;
  }

  async take(question: Question): Promise<void> {
    const { id } = question;
    if ("leave" in question) this.leave(id);
    else if ("next" in question) await this.next(id);
    else if (question.call === "load") {
      if (this.model) throw new UserError("The worker has a model; make another one for another.");
      this.model = await load(question.from, question.options);
      this.post({ id, value: null });
    } else if (question.call === "close") {
      await this.model?.close();
      this.post({ id, value: null });
      this.scope.close?.();
    } else await this.call(id, question.call, question.request);
  }

  forget(id: number): void {
    this.open.delete(id);
  }

  private async call(id: number, call: Call, request: unknown): Promise<void> {
    const leaving = new AbortController();
    this.open.set(id, { leaving });
    const answer = await this.answer(call, request, leaving.signal);
    const open = this.open.get(id);
    if (!open) return; // left while it was waited for
    if (isStream(answer)) {
      open.items = answer[Symbol.asyncIterator]();
      this.post({ id, streams: true });
    } else {
      this.open.delete(id);
      this.post({ id, value: answer });
    }
  }

  private answer(call: Call, request: unknown, signal: AbortSignal): unknown {
    const model = this.model!;
    const calls: Record<Call, () => unknown> = {
      generate: () => model.generate({ ...(request as object), signal }),
      stream: () => model.stream({ ...(request as object), signal }),
      completions: () => model.completions.create(request as never, { signal }),
      chat: () => model.chat.completions.create(request as never, { signal }),
    };
    return calls[call]();
  }

  private async next(id: number): Promise<void> {
    const items = this.open.get(id)?.items;
    if (!items) return;
    const { done, value } = await items.next();
    if (!this.open.has(id)) return;
    if (done) this.open.delete(id);
    this.post(done ? { id, end: true } : { id, item: value });
  }

  private leave(id: number): void {
    const open = this.open.get(id);
    this.open.delete(id);
    open?.leaving.abort();
    // What it still throws is of no more use.
    open?.items?.return?.().catch(() => {});
  }

  private post(reply: Reply): void {
    this.scope.postMessage(reply);
  }
}

function isStream(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer;
}
