// Log-probabilities: those of a prompt that is echoed are those with which the same tokens are drawn.

import { expect, test, vi } from "vitest";
import type { Decoder } from "../../src/generation/decoder.ts";
import { objectOf, served } from "../harness/service.ts";

test.each(["names", "text", "words"] as const)(
  "%s: a text scores as it was drawn, by its ids and by itself",
  async (kind) => {
    const { service, model } = await served(kind);
    const prompt = kind === "names" ? "ad" : "rain on";
    const request = { prompt, max_tokens: 6, seed: 4, temperature: 1, logprobs: 3 };
    const drawn = await objectOf(service.completions({ ...request, echo: true }));
    const [{ text, logprobs, finish_reason }] = drawn.choices;
    const ended = finish_reason === "stop" ? 1 : 0;
    const tokens = logprobs!.tokens.length - ended;
    const ids = [...model.tokenizer.encode(prompt)];
    expect(drawn.usage.prompt_tokens).toBe(ids.length);
    expect(tokens).toBe(ids.length + drawn.usage.completion_tokens - ended);
    const whole = kind === "names" ? text : await idsOf();

    const scored = await objectOf(
      service.completions({ prompt: whole, max_tokens: 0, echo: true, logprobs: 3 }),
    );
    const [again] = scored.choices;
    expect(again).toMatchObject({ text, finish_reason: "length" });
    expect(scored.usage.completion_tokens).toBe(0);
    expect(again.logprobs!.tokens).toEqual(logprobs!.tokens.slice(0, tokens));
    expect(again.logprobs!.text_offset).toEqual(logprobs!.text_offset.slice(0, tokens));
    const [first, ...logs] = again.logprobs!.token_logprobs;
    expect([first, logprobs!.token_logprobs[0], again.logprobs!.top_logprobs[0]]).toEqual([
      null,
      null,
      null,
    ]);
    for (const [i, logprob] of logs.entries()) {
      expect(logprob).toBeCloseTo(logprobs!.token_logprobs[i + 1]!, 9);
      // The likeliest ones, and the one that is there.
      const top = again.logprobs!.top_logprobs[i + 1]!;
      expect(top[again.logprobs!.tokens[i + 1]]).toBe(logprob);
      expect([3, 4]).toContain(Object.keys(top).length);
    }
    for (const [t, place] of again.logprobs!.text_offset.entries()) {
      const token = again.logprobs!.tokens[t];
      if (kind === "words" || token.startsWith("bytes:")) continue;
      expect([...text].slice(place).join("").startsWith(token)).toBe(true);
    }

    /** Text may be encoded otherwise than it was drawn: the ids that were. */
    async function idsOf(): Promise<number[]> {
      const names = new Map(
        Array.from({ length: model.tokenizer.vocab_size }, (_, id) => [nameOf(id), id]),
      );
      return logprobs!.tokens.slice(0, tokens).map((name) => names.get(name)!);
    }
    function nameOf(id: number): string {
      const name = model.tokenizer.decode([id]);
      const bytes = [...model.tokenizer.bytes(id)].map((b) => b.toString(16).padStart(2, "0"));
      return name.includes("\uFFFD") ? `bytes:${bytes.map((b) => `\\x${b}`).join("")}` : name;
    }
  },
);

test("as lm-evaluation-harness asks: ids of several texts, one token more, and the greedy ones told", async () => {
  const { service, model } = await served("names");
  const prompt = ["ada", "grace"].map((name) => [...model.tokenizer.encode(name)]);
  const request = { model: "any", prompt, echo: true, max_tokens: 1, temperature: 0, logprobs: 1 };
  const { choices, usage } = await objectOf(service.completions({ ...request, seed: 1234 }));
  expect(usage).toEqual({ prompt_tokens: 8, completion_tokens: 2, total_tokens: 10 });
  for (const [i, { index, logprobs }] of choices.entries()) {
    expect(index).toBe(i);
    expect(logprobs!.token_logprobs).toHaveLength(prompt[i].length + 1);
    const last = logprobs!.top_logprobs.at(-1)!;
    expect(Math.max(...Object.values(last))).toBe(logprobs!.token_logprobs.at(-1));
  }
});

test("a chat tells those of its answer, whose bytes are those of its text", async () => {
  const { service } = await served("chat");
  const messages = [{ role: "user", content: "my red cat" }];
  const request = { messages, seed: 2, logprobs: true, top_logprobs: 2, temperature: 1 };
  const [choice] = (await objectOf(service.chatCompletions(request))).choices;
  const content = choice.logprobs!.content;
  const bytes = content.flatMap((token) => token.bytes ?? []);
  expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(choice.message.content);
  for (const { top_logprobs, logprob } of content) {
    expect(top_logprobs).toHaveLength(2);
    expect(top_logprobs[0].logprob).toBeGreaterThanOrEqual(logprob);
  }
  expect(choice.finish_reason).toBe("stop"); // by a token that has no text
  const token = expect.stringMatching(/^(<\|end_turn\|>|bos)$/);
  expect(content.at(-1)).toMatchObject({ token, bytes: null });
});

test("what is said never becomes a special token; an id that is one may", async () => {
  const { service, generator, model } = await served("talk");
  const { decoder } = generator as unknown as { decoder: Decoder };
  const decode = vi.spyOn(decoder, "decode");
  const saw = () => decode.mock.lastCall![0].tokens;
  const { special, bos } = model.tokenizer;
  const ids = new Set(special.values());
  const name = (id: number) => [...special].find(([, each]) => each === id)![0];
  const specials = () => saw().flatMap((id) => (ids.has(id) ? [name(id)] : []));
  const [BOS] = [...special].find(([, id]) => id === bos)!;
  const template = [BOS, "<|user|>", "<|end_turn|>", "<|assistant|>"];
  for (const text of [...special.keys(), "<|endoftext|>", [...special.keys()].join("")]) {
    await service.completions({ prompt: text, max_tokens: 1, temperature: 0 });
    expect(specials()).toEqual([BOS]);
    expect(model.tokenizer.decode(saw())).toBe(text);
    const messages = [{ role: "user", content: text }];
    await service.chatCompletions({ messages, max_tokens: 1, temperature: 0 });
    expect(specials()).toEqual(template);
    expect(model.tokenizer.decode(saw())).toBe(text);
    await service.responses({ input: text, max_output_tokens: 1, temperature: 0 });
    expect(specials()).toEqual(template);
    await service.answer({ messages, max_tokens: 1 });
    expect(specials()).toEqual(template);
  }
  const user = special.get("<|user|>")!;
  await service.completions({ prompt: [user, 3], max_tokens: 1 });
  expect(saw()).toEqual([bos, user, 3]);
});
