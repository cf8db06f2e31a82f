// A chat as it goes: what was said, and the commands that act on it.

import { writeFileSync } from "node:fs";
import { plural } from "../src/count.ts";
import { UserError } from "../src/errors.ts";
import { reason } from "../src/files/reason.node.ts";
import type { AnswerEvent } from "../src/generation/answer.ts";
import type { AnsweringOptions, Generator } from "../src/generation/from_model.ts";
import type { Turn } from "../src/text/conversation.ts";
import type { Io } from "./run.ts";
import { printable } from "./samples.ts";

interface Options {
  /** What the conversation begins with, each time. */
  first: readonly Turn[];
  sampling: AnsweringOptions;
  /** Of the model. */
  block_size: number;
  /** Whether an answer is a JSON line, and nothing is said beside it. */
  json: boolean;
}

interface ChatCommand {
  help: string;
  /** Of what follows its name. @returns false to end the chat */
  run(rest: string, signal: AbortSignal): Promise<boolean> | boolean;
}

export class ChatSession {
  private readonly generator: Generator;
  private readonly options: Options;
  private readonly io: Io;
  private turns: readonly Turn[] = [];
  /** Answers so far: each has random numbers of its own. */
  private answers = 0;
  /** Whether the user knows that the model no longer sees all that was said. */
  private toldOfRoom = false;

  constructor(generator: Generator, options: Options, io: Io) {
    this.generator = generator;
    this.options = options;
    this.io = io;
  }

  private readonly commands: Record<string, ChatCommand> = {
    help: { help: "tells this", run: () => this.help() },
    quit: { help: "ends the chat", run: () => false },
    clear: { help: "forgets what was said", run: () => this.clear() },
    retry: {
      help: "answers once more what was said last",
      run: (_, signal) => this.retry(signal),
    },
    "save FILE": {
      help: "writes the conversation into a new file, as a line that train --chat reads",
      run: (path) => this.save(path),
    },
  };

  /**
   * What is said is answered, a command is obeyed.
   * @returns false to end the chat
   * @throws UserError if the line has to be another one; nothing has changed then
   */
  async respond(line: string, signal: AbortSignal): Promise<boolean> {
    if (!line.startsWith("/")) return this.say(line, signal);
    if (line.startsWith("//")) return this.say(line.slice(1), signal);
    const [, name, rest] = /^\/(\S*)\s*(.*?)\s*$/.exec(line)!;
    const known = Object.keys(this.commands);
    const found = known.find((usage) => usage.split(" ")[0] === name);
    if (found !== undefined) return this.commands[found].run(rest, signal);
    throw new UserError(
      `There is no command /${name}. There are ${known.map((usage) => `/${usage}`).join(", ")}; what is to be said and ` +
        `begins with a / gets another one before it.`,
    );
  }

  private async say(content: string, signal: AbortSignal): Promise<boolean> {
    const answered = this.turns.at(-1)?.role === "user" ? this.turns.slice(0, -1) : this.turns;
    return this.answer([...answered, { role: "user", content }], signal);
  }

  private async retry(signal: AbortSignal): Promise<boolean> {
    const last = this.turns.findLastIndex(({ role }) => role === "user");
    if (last < 0) throw new UserError("Nothing was said yet that could be answered again.");
    return this.answer(this.turns.slice(0, last + 1), signal);
  }

  /** An answer that is stopped stays as far as it went. */
  private async answer(turns: readonly Turn[], signal: AbortSignal): Promise<boolean> {
    const { first, sampling, json } = this.options;
    const { stdout } = this.io;
    const streams = !json && stdout.isTTY;
    const seed = sampling.seed + this.answers;
    let content = "";
    let whole: AnswerEvent | undefined;
    const events = this.generator.answer([...first, ...turns], { ...sampling, seed, signal });
    for await (const event of events) {
      if (event.type === "answer") whole = event;
      else content += event.text;
      if (event.type === "piece" && streams) stdout.write(printable(event.text));
    }
    this.answers++;
    const said: Turn = { role: "assistant", content };
    this.turns = whole || content !== "" ? [...turns, said] : turns;
    if (json && whole) stdout.write(`${JSON.stringify(whole)}\n`);
    if (!json) stdout.write(streams ? "\n" : `${content}\n`);
    this.tellOf(whole);
    return true;
  }

  private tellOf(answer: AnswerEvent | undefined): void {
    const { block_size } = this.options;
    if (answer === undefined) {
      return this.tell("Stopped. What was said stays, and /retry answers anew.");
    }
    if (answer.num_left_out > 0 && !this.toldOfRoom) {
      this.tell(
        `The context of ${plural(block_size, "token")} has no room for all that was said: the model did not see the ` +
          `oldest ${plural(answer.num_left_out, "turn")}, and from now on it sees the last ones alone.`,
      );
      this.toldOfRoom = true;
    }
    if (answer.finish_reason === "length") {
      this.tell(`The answer ends here for its length, by --max-tokens or by the context.`);
    }
  }

  private help(): boolean {
    const { commands } = this;
    const width = Math.max(...Object.keys(commands).map((usage) => usage.length));
    const rows = Object.entries(commands).map(
      ([usage, { help }]) => `  /${usage.padEnd(width)}  ${help}`,
    );
    this.io.stderr.write(
      `${rows.join("\n")}\nCtrl-C stops an answer. What is said and begins with a / gets another one before it.\n`,
    );
    return true;
  }

  private clear(): boolean {
    this.turns = [];
    this.toldOfRoom = false;
    this.tell("What was said is forgotten.");
    return true;
  }

  private save(path: string): boolean {
    const { first } = this.options;
    if (path === "") throw new UserError("/save needs the name of a file: /save FILE.");
    if (this.turns.length === 0) throw new UserError("Nothing was said yet that could be saved.");
    try {
      writeFileSync(path, `${JSON.stringify([...first, ...this.turns])}\n`, { flag: "wx" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") {
        throw new UserError(`${path} is there already; name another file.`);
      }
      throw new UserError(`${path} cannot be written: ${reason(error)}. Name another file.`);
    }
    this.tell(`${plural(this.turns.length, "turn")} saved in ${path}.`);
    return true;
  }

  /** To people: a program reads it in the JSON. */
  private tell(sentence: string): void {
    if (!this.options.json) this.io.stderr.write(`${sentence}\n`);
  }
}
