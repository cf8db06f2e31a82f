// Texts that go on from a prompt, the newest above the others, each as it is written.

import type { Generator } from "../../src/generation/from_model.ts";
import { byId } from "../dom.ts";
import type { Author, Options } from "./main.ts";

export class Texts implements Author {
  private readonly list = byId("texts");

  async write(generator: Generator, prompt: string, options: Options): Promise<void> {
    const items: HTMLElement[] = [];
    for await (const { type, index, text } of generator.write({ ...options, prompt })) {
      if (items.length < index) {
        const item = document.createElement("li");
        if (items.length === 0) this.list.prepend(item);
        else items.at(-1)!.after(item);
        items.push(item);
      }
      const item = items[index - 1];
      item.textContent = type === "sample" ? text : item.textContent + text;
    }
  }

  clear(): void {
    this.list.replaceChildren();
  }
}
