// What can be done with kept runs and models, and with files of models.

import { UserError } from "../src/errors.ts";
import { decodeModelFile } from "../src/files/model_files.ts";
import { parameterCount } from "../src/model/parameters.ts";
import { byId } from "./dom.ts";
import type { Exportable } from "./export.ts";
import { LossHistory } from "./history.ts";
import { splitDocuments } from "./kept_text.ts";
import type { Keeper } from "./keep.ts";
import type { ModelInfo, Run } from "./run.ts";
import type { Kept } from "./shelf.ts";

export class Library {
  private readonly keeper: Keeper;
  private readonly run: Run;

  constructor(keeper: Keeper, run: Run) {
    this.keeper = keeper;
    this.run = run;
  }

  /** Goes on with a kept run, where no other tab does. */
  goOn(item: Kept): Promise<void> {
    const { keeper, run } = this;
    return this.attempt(item, async () => {
      const state = await keeper.weights(item);
      const { id, name, config } = item;
      const text = await keeper.text(item);
      const documents = splitDocuments(text, config.format);
      if (!(await keeper.begin(id, item))) return keeper.look();
      run.begin(id, config, { name, documents }, "auto", { info: item, state });
    });
  }

  /** Opens a kept model, to write with it. */
  open(item: Kept): Promise<void> {
    const { keeper, run } = this;
    return this.attempt(item, async () => {
      const file = await keeper.weights(item);
      await keeper.end();
      run.open(item, file);
    });
  }

  download(item: Kept): Promise<void> {
    return this.attempt(item, async () => downloadModel(await this.keeper.weights(item)));
  }

  /** What the dialog of formats exports. */
  exportable(item: Kept): Exportable {
    const { name } = item;
    return { name, trained_on: textsIn(name), file: () => this.keeper.weights(item) };
  }

  async remove(item: Kept): Promise<void> {
    const { keeper, run } = this;
    if (run.phase === "open" && run.id === item.id) run.reset();
    await keeper.remove(item);
  }

  /** Opens and keeps a model of the command line, or of another page; says so where it cannot be. */
  async openFile(file: File): Promise<void> {
    const { keeper, run } = this;
    const error = byId("models-error");
    error.textContent = "";
    try {
      const { info, model } = await readModel(file);
      await keeper.end();
      run.open(info, model);
      await keeper.keepModel(info, model);
    } catch (problem) {
      if (!(problem instanceof UserError)) throw problem;
      error.textContent = problem.message;
    }
  }

  /** Whether a run failed because what was kept of it is damaged; then it is dropped. */
  dropped(): boolean {
    const { keeper, run } = this;
    const { error, id, start } = run;
    const item = keeper.items.find((kept) => kept.id === id);
    if (!error?.damaged || !item || start !== null) return false;
    run.reset();
    this.drop(item, error.message);
    return true;
  }

  private async attempt(item: Kept, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.drop(item, error.message);
    }
  }

  private drop(item: Kept, why: string): void {
    const what = `A kept ${item.kind} on ${item.name}`;
    this.keeper.tell("damage", `${what} was damaged, and is dropped: ${why}`);
    void this.keeper.remove(item);
  }
}

/** Of a model that was opened the name is its file's, and what it has learnt nobody knows. */
export const textsIn = (name: string) => (/\.safetensors$/i.test(name) ? [] : [name]);

/** @throws UserError if the file is no model */
async function readModel(file: File): Promise<{ info: ModelInfo; model: Blob }> {
  const { name } = file;
  const bytes = await file.arrayBuffer().catch(() => {
    throw new UserError(`${name} could not be read; choose a file like model.safetensors.`);
  });
  const { config, step, layout } = decodeModelFile(new Uint8Array(bytes), name);
  const { dims } = layout;
  const counts = { vocab_size: dims.V, num_params: parameterCount(dims) };
  const history = new LossHistory(1).state();
  const info = { id: newId(), name, config, step, ...counts, history };
  return { info, model: new Blob([bytes]) };
}

export function downloadModel(file: Blob): void {
  downloadFile(file, "model.safetensors");
}

export function downloadFile(file: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Of a new run or model. */
export const newId = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
