// The list of what the model writes, the newest on top; long texts are folded to a few lines.

import { count } from "../src/count.ts";
import { formatNumber } from "./format.ts";
import type { Look } from "./run.ts";

/** Of a text that runs over several lines, this much is seen before it is unfolded. */
const FOLD_LINES = 3;
const FOLD_CHARS = 240;

export class LookList {
  private readonly list: HTMLElement;
  private readonly items = new Map<Look, HTMLElement>();

  constructor(list: HTMLElement) {
    this.list = list;
  }

  /** @param known documents of the training text */
  show(looks: readonly Look[], known: ReadonlySet<string>): void {
    for (const [look, item] of this.items) {
      if (looks.includes(look)) continue;
      item.remove();
      this.items.delete(look);
    }
    for (const look of looks.toReversed()) {
      let item = this.items.get(look);
      if (!item) {
        item = createRow("look", labelOf(look));
        this.items.set(look, item);
        this.list.prepend(item);
      }
      const shown = item.lastElementChild!;
      const texts = [...shown.children] as HTMLElement[];
      look.texts.forEach((text, i) => {
        if (texts[i]?.dataset.text === text) return;
        const fresh = createText(text, known.has(text));
        if (texts[i]) texts[i].replaceWith(fresh);
        else shown.append(fresh);
      });
    }
  }
}

function labelOf({ step, final, asked }: Look): string {
  if (asked) return `at ${formatNumber(asked.temperature, 2)}`;
  return final ? "trained" : `step ${count(step)}`;
}

export function createRow(className: string, text: string): HTMLElement {
  const item = document.createElement("li");
  item.className = className;
  const label = document.createElement("span");
  label.className = "look-step";
  label.textContent = text;
  item.append(label, document.createElement("ul"));
  return item;
}

/** @param known whether it stands in the training text */
export function createText(text: string, known = false): HTMLElement {
  const item = document.createElement("li");
  item.dataset.text = text;
  if (text) item.append(...fold(text));
  else item.textContent = "(nothing)";
  if (!text) item.className = "nothing";
  if (text.includes("\n")) item.className = "passage";
  if (known) {
    item.className = "known";
    item.title = "stands in the training text";
  }
  return item;
}

/** The text, its rest unfolded by a click where it is long. */
function fold(text: string): (Node | string)[] {
  const lines = text.match(/.*\n|.+$/g) ?? [];
  let head = lines.slice(0, FOLD_LINES).join("");
  if (head.length > FOLD_CHARS) head = [...head].slice(0, FOLD_CHARS).join("");
  if (text.length - head.length < FOLD_CHARS / 4 && lines.length <= FOLD_LINES + 1) return [text];
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = head;
  details.append(summary, text.slice(head.length));
  return [details];
}
