// A conversation: what is said is answered, and what is said next is said after that.

import type { Generator } from "../../src/generation/from_model.ts";
import type { Turn } from "../../src/text/conversation.ts";
import { ConversationError } from "../../src/errors.ts";
import { plural } from "../../src/count.ts";
import { byId, write } from "../dom.ts";
import type { Author, Options } from "./main.ts";

const speakers: Record<Turn["role"], string> = {
  system: "System",
  user: "You",
  assistant: "Model",
};

export class Talk implements Author {
  private readonly list = byId("texts");
  private turns: readonly Turn[] = [];

  /** An answer that is stopped stays as far as it went. */
  async write(generator: Generator, content: string, { seed, ...options }: Options): Promise<void> {
    if (content === "") throw new ConversationError("There is nothing to answer: say something.");
    const asked: Turn[] = [...this.turns, { role: "user", content }];
    const { num_samples: _, ...drawing } = options;
    // Each answer has random numbers of its own.
    const answers = generator.answer(asked, { ...drawing, seed: seed + this.turns.length / 2 });
    let item: Text | undefined;
    let said = "";
    for await (const event of answers) {
      item ??= (this.say(asked.at(-1)!), this.say({ role: "assistant", content: "" }));
      if (event.type === "piece") item.data = said += event.text;
      else this.tell(event.num_left_out);
    }
    if (item === undefined) return; // stopped before the first token
    this.turns = [...asked, { role: "assistant", content: said }];
  }

  clear(): void {
    this.turns = [];
    this.list.replaceChildren();
  }

  private say({ role, content }: Turn): Text {
    const item = document.createElement("li");
    item.className = role;
    const speaker = document.createElement("b");
    speaker.textContent = speakers[role];
    const text = document.createTextNode(content);
    item.append(speaker, text);
    this.list.append(item);
    item.scrollIntoView({ block: "nearest" });
    return text;
  }

  private tell(num_left_out: number): void {
    const what = plural(num_left_out, "turn");
    write(
      "note",
      num_left_out > 0
        ? `The context has no room for all of it: the oldest ${what} it did not see.`
        : "",
    );
  }
}
