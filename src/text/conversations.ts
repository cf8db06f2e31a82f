// Conversations as sequences of tokens, cut to a context at the ends of turns. Tokens that are read but not learnt are
// negative, ~id: with loss_on assistant all that the others say.

import { isOnAll } from "../choices.ts";
import type { Config } from "../config.ts";
import { DataError } from "../errors.ts";
import { plural } from "../count.ts";
import type { ChatIds } from "./chat.ts";
import { Documents, identity } from "./documents.ts";
import type { Ids } from "../ids.ts";

export type ChatConfig = Pick<Config, "block_size" | "loss_on" | "skip_long">;

/** All of them in a row, as Documents has them. */
interface Source {
  ids: Ids;
  starts: Uint32Array;
  bos: number;
  chat: ChatIds;
}

/** What of each conversation is used. */
interface Use {
  /** Tokens of its sequence, BOS included; 0 where it is left out. */
  lengths: Uint32Array;
  /** Those that are learnt. */
  targets: Uint32Array;
  num_cut: number;
  /** Longer than the context, and without an answer in it, or to be left out altogether. */
  num_left_out: number;
}

export class Conversations extends Documents {
  private readonly source: Source;
  private readonly config: ChatConfig;
  private readonly use: Use;

  private constructor(source: Source, config: ChatConfig, use: Use, order: Uint32Array) {
    super(source.ids, source.starts, source.bos, config.block_size, order);
    this.source = source;
    this.config = config;
    this.use = use;
  }

  /** @throws DataError if all are left out: too long, or without an answer within the context */
  static of(source: Source, config: ChatConfig, order?: Uint32Array): Conversations {
    const { starts } = source;
    const count = starts.length - 1;
    const use: Use = {
      lengths: new Uint32Array(count),
      targets: new Uint32Array(count),
      num_cut: 0,
      num_left_out: 0,
    };
    for (let d = 0; d < count; d++) measure(source, config, use, d);
    if (use.num_left_out === count) {
      const context = `the context of ${plural(config.block_size, "token")}`;
      throw new DataError(
        config.skip_long
          ? `Of ${plural(count, "conversation")} all are longer than ${context}, and skip_long leaves such out; choose ` +
              `a larger block_size, or have them cut, without skip_long.`
          : `Of ${plural(count, "conversation")} none has an answer within ${context}; choose a larger block_size.`,
      );
    }
    const used = (order ?? identity(count)).filter((d) => use.lengths[d] > 0);
    return new Conversations(source, config, use, used);
  }

  /** What was left out or cut, each with its number: "3 conversations longer than the context". */
  get skipped(): string[] {
    const { num_cut, num_left_out } = this.use;
    const why = this.config.skip_long
      ? "longer than the context"
      : "without an answer in the context";
    return [
      ...(num_left_out > 0 ? [`${plural(num_left_out, "conversation")} ${why}`] : []),
      ...(num_cut > 0
        ? [`the last turns of ${plural(num_cut, "conversation")}, beyond the context`]
        : []),
    ];
  }

  override at(index: number): Int32Array | undefined {
    const { order, source, use, config } = this;
    if (index >= order.length) return undefined;
    const document = order[index];
    const sequence = new Int32Array(use.lengths[document]);
    const { ids, starts, bos } = source;
    const end = Math.min(starts[document + 1], starts[document] + sequence.length - 1);
    sequence[0] = sequence[sequence.length - 1] = bos;
    sequence.set(ids.subarray(starts[document], end), 1);
    if (isOnAll(config.loss_on)) return sequence;
    let answers = false;
    for (let i = 0; i < sequence.length; i++) {
      const id = sequence[i];
      if (!answers) sequence[i] = ~id;
      answers = isAnswer(id, answers, source.chat);
    }
    return sequence;
  }

  override write(index: number, to: Int32Array | Uint32Array, at: number): number {
    const sequence = this.at(index)!;
    to.set(sequence, at);
    return at + sequence.length;
  }

  protected override tokensOf(document: number): number {
    return this.use.lengths[document];
  }

  protected override positionsOf(document: number): number {
    return this.use.targets[document];
  }

  protected override with(order: Uint32Array): Conversations {
    return new Conversations(this.source, this.config, this.use, order);
  }
}

/** Whether what follows a token is the assistant's. */
function isAnswer(id: number, answers: boolean, { role, end_turn }: ChatIds): boolean {
  if (id === role.assistant) return true;
  return id === end_turn ? false : answers;
}

/** How much of conversation d is used. */
function measure(source: Source, config: ChatConfig, use: Use, d: number): void {
  const { ids, starts, chat } = source;
  const all = isOnAll(config.loss_on);
  const size = starts[d + 1] - starts[d];
  const isLong = size > config.block_size;
  const limit = Math.min(size, config.block_size);
  let [answers, learnt] = [false, 0];
  let [length, targets] = [0, 0];
  for (let i = 0; i < limit; i++) {
    const id = ids[starts[d] + i];
    if (all || answers) learnt++;
    const ends = id === chat.end_turn && (all || answers);
    answers = isAnswer(id, answers, chat);
    if (ends) [length, targets] = [i + 2, learnt];
  }
  // The last turn is whole, and BOS fits behind it.
  if (size < config.block_size && learnt > 0)
    [length, targets] = [size + 2, learnt + (all ? 1 : 0)];
  if (isLong && config.skip_long) length = targets = 0;
  use.lengths[d] = length;
  use.targets[d] = targets;
  if (length === 0) use.num_left_out++;
  else if (isLong) use.num_cut++;
}
