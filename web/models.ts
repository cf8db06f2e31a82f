// The list of what is kept: models to write with, and runs to go on with.

import { count, plural } from "../src/count.ts";
import { formatLoss } from "./format.ts";
import type { Kept } from "./shelf.ts";

export interface ModelActions {
  open(item: Kept): void;
  goOn(item: Kept): void;
  download(item: Kept): void;
  export(item: Kept): void;
  remove(item: Kept): void;
}

export class ModelList {
  private readonly list: HTMLElement;
  private readonly actions: ModelActions;
  private shown = "";

  constructor(list: HTMLElement, actions: ModelActions) {
    this.list = list;
    this.actions = actions;
  }

  /**
   * @param elsewhere runs that another tab goes on with
   * @param current what the page shows
   * @param busy whether a run is going on, which nothing else may end
   */
  show(items: readonly Kept[], elsewhere: ReadonlySet<string>, current: string, busy: boolean) {
    const rows = items.filter(({ id }) => !(busy && id === current));
    const state = JSON.stringify([
      rows.map((row) => [row.id, row.when, elsewhere.has(row.id)]),
      current,
      busy,
    ]);
    if (state === this.shown) return; // the keyboard is perhaps in it
    this.shown = state;
    this.list.replaceChildren(
      ...rows.map((item) => this.row(item, elsewhere.has(item.id), item.id === current, busy)),
    );
  }

  private row(item: Kept, elsewhere: boolean, open: boolean, busy: boolean): HTMLElement {
    const row = document.createElement("li");
    const name = document.createElement("strong");
    name.textContent = item.name;
    const about = document.createElement("p");
    about.className = "hint";
    about.textContent = describe(item);
    const buttons = document.createElement("p");
    buttons.className = "buttons";
    const { actions } = this;
    const add = (label: string, action: (item: Kept) => void, disabled = false) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.setAttribute("aria-label", `${label}: ${item.name}, ${describe(item)}`);
      button.disabled = disabled;
      button.addEventListener("click", () => action(item));
      buttons.append(button);
    };
    if (elsewhere) {
      buttons.textContent = "Another tab trains it.";
    } else if (item.kind === "run") {
      add("Go on", actions.goOn, busy);
      add("Remove", actions.remove);
    } else {
      add(open ? "Open now" : "Open", actions.open, busy || open);
      add("Download", actions.download);
      add("Export…", actions.export);
      add("Remove", actions.remove);
    }
    row.append(name, about, buttons);
    return row;
  }
}

/** A line about a run or model. */
export function describe({ kind, step, config, num_params, history, when }: Kept): string {
  const loss = history.means.at(-1);
  return [
    kind === "run"
      ? `stopped at step ${count(step)} of ${count(config.num_steps)}`
      : `trained ${plural(step, "step")}`,
    ...(loss === undefined ? [] : [`loss ${formatLoss(loss)}`]),
    plural(num_params, "parameter"),
    new Date(when).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }),
  ].join(" · ");
}
