// What every tokenizer.json of Hugging Face holds, checked: each id has one token, and each token one id.

import { count } from "../count.ts";
import { ModelFileError } from "../errors.ts";
import { isObject, show } from "../strict_json.ts";
import { bosNames } from "./bos.ts";

/** Tokens at most: four times as many as the largest vocabularies in use have. */
const MOST = 2 ** 20;

/** Ids are 0 to the number of tokens - 1. */
export interface Vocabulary {
  /** All tokens, as the file writes them. */
  ids: ReadonlyMap<string, number>;
  /** Those that are no text. */
  special: ReadonlyMap<string, number>;
  bos: number;
  /** Added tokens that are text all the same. */
  hasAddedText: boolean;
  /** The file's "model". */
  model: Readonly<Record<string, unknown>>;
}

/** @throws ModelFileError if the file says nothing that can be relied on */
export function vocabularyOf(file: unknown): Vocabulary {
  const model = isObject(file) ? file.model : undefined;
  if (!isObject(file) || !isObject(model)) {
    throw bad(
      `is not a tokenizer.json of Hugging Face: it has no "model". One with "model", and in it "vocab", is needed`,
    );
  }
  const ids = new Map<string, number>();
  for (const [token, id] of vocabOf(model)) add(ids, token, id);
  const special = new Map<string, number>();
  const added = file.added_tokens ?? [];
  if (!Array.isArray(added)) throw bad(`has "added_tokens" ${show(added)}; a list is needed`);
  let hasAddedText = false;
  for (const token of added) {
    if (!isObject(token) || typeof token.content !== "string") {
      throw bad(`has ${show(token)} in "added_tokens"; "id", "content" and "special" are needed`);
    }
    const { content, id } = token;
    if (ids.get(content) !== id) add(ids, content, id);
    if (token.special === true) special.set(content, id as number);
    else hasAddedText = true;
  }
  checkIds(ids);
  // Most of the names may be words of a text as well.
  const name =
    bosNames.find((known) => special.has(known)) ?? bosNames.find((known) => ids.has(known));
  if (name === undefined) {
    throw bad(
      `has no token that begins a document; one is needed with one of the names ${bosNames.join(" ")}`,
    );
  }
  const bos = ids.get(name)!;
  special.set(name, bos);
  return { ids, special, bos, hasAddedText, model };
}

/** The tokens of a model that has a list of them, with what they are worth, or an object of their ids. */
function vocabOf({ vocab }: Readonly<Record<string, unknown>>): [string, unknown][] {
  const size = isObject(vocab) || Array.isArray(vocab) ? Object.keys(vocab).length : 0;
  if (size > MOST) throw bad(`has ${count(size)} tokens; ${count(MOST)} are the most`);
  if (Array.isArray(vocab)) {
    return vocab.map((entry, id) => {
      if (Array.isArray(entry) && typeof entry[0] === "string" && Number.isFinite(entry[1])) {
        return [entry[0], id];
      }
      throw bad(`has ${show(entry)} in its vocabulary; a token and a number are needed`);
    });
  }
  if (isObject(vocab)) return Object.entries(vocab);
  throw bad(`has no vocabulary: "vocab" in "model" is ${show(vocab)}; tokens with ids are needed`);
}

function add(ids: Map<string, number>, token: string, id: unknown): void {
  if (!Number.isInteger(id) || (id as number) < 0) {
    throw bad(`gives the token ${show(token)} the id ${show(id)}; a whole number from 0 is needed`);
  }
  if (ids.has(token)) {
    throw bad(`gives the token ${show(token)} two ids, ${ids.get(token)} and ${show(id)}`);
  }
  ids.set(token, id as number);
}

function checkIds(ids: ReadonlyMap<string, number>): void {
  const tokens: string[] = [];
  for (const [token, id] of ids) {
    if (id >= ids.size) continue;
    if (tokens[id] !== undefined) {
      throw bad(`gives two tokens the id ${id}, ${show(tokens[id])} and ${show(token)}`);
    }
    tokens[id] = token;
  }
  const hole = Array.from({ length: ids.size }, (_, id) => id).find(
    (id) => tokens[id] === undefined,
  );
  if (hole === undefined) return;
  throw bad(
    `has no token with id ${hole}, though it has ${ids.size} tokens; ids 0 to ${ids.size - 1} are needed, each once`,
  );
}

/**
 * The merges of a BPE model, without those that would make a special token of text.
 * @throws ModelFileError if one is of no use
 */
export function mergesOf({ ids, special, model }: Vocabulary): [left: string, right: string][] {
  const { merges, continuing_subword_prefix: prefix } = model;
  const inner = typeof prefix === "string" ? prefix.length : 0;
  if (!Array.isArray(merges)) {
    throw bad(`has no merges: "merges" in "model" is ${show(merges)}; a list of pairs is needed`);
  }
  const plain: [string, string][] = [];
  merges.forEach((entry, i) => {
    const pair: unknown = typeof entry === "string" ? entry.split(" ") : entry;
    const isPair = Array.isArray(pair) && pair.length === 2;
    if (!isPair || pair.some((token) => typeof token !== "string")) {
      throw bad(`has ${show(entry)} as merge ${i + 1}; two tokens are needed`);
    }
    const [left, right] = pair as [string, string];
    const tokens = [left, right, left + right.slice(inner)];
    const missing = tokens.find((token) => !ids.has(token));
    if (missing !== undefined) {
      throw bad(
        `has ${show(entry)} as merge ${i + 1}, which needs the token ${show(missing)}, but its vocabulary has none`,
      );
    }
    if (!tokens.some((token) => special.has(token))) plain.push([left, right]);
  });
  return plain;
}

/** A special token as "added_tokens" has it. */
export function specialToken(content: string, id: number): object {
  const matching = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return { id, content, ...matching, special: true };
}

/** @param what the rest of the sentence, without the full stop */
export function bad(what: string): ModelFileError {
  return new ModelFileError(`The tokenizer file ${what}. Get the file again, or name another.`);
}
