// What survives a reload: the form, its text, the shelf; and a sentence wherever the browser does not play along.

import type { ModelInfo, Run } from "./run.ts";
import { held, hold, type Kept, Shelf } from "./shelf.ts";
import { Store, type StoreError } from "./store.ts";
import type { TextParts } from "./text.ts";

/** The form as it stands, right or wrong. */
export interface FormState {
  preset: string;
  device: string;
  source: string;
  /** What is written in the settings' fields. */
  values: Record<string, string>;
}

/** Changes of the form are kept together, this long after the last one. */
const FORM_MS = 250;
const LOSS = "a reload would lose it";

export class Keeper {
  /** What is not kept, and why, by what it is; empty where all is. */
  private readonly notes = new Map<string, string>();
  /** Runs that another tab goes on with. */
  elsewhere: ReadonlySet<string> = new Set();
  private shelf: Shelf | null = null;
  private store: Store | null = null;
  /** Of the run that is shown, what of it would come back. */
  private kept = { id: "", step: 0, text: false, model: false };
  private release: (() => void) | null = null;
  private pending: FormState | null = null;
  private timer = 0;
  private readonly changed: () => void;

  /** @param changed called after every change of what is kept */
  constructor(changed: () => void) {
    this.changed = changed;
  }

  /** Opens the storage and reads the form and the shelf; what is damaged is dropped, and said. */
  async open(): Promise<{ form: FormState | null; text: TextParts }> {
    let form: FormState | null = null;
    const text: TextParts = { paste: "", file: null };
    try {
      this.store = await Store.open();
      this.shelf = new Shelf(this.store);
      const entries = Object.fromEntries(await this.store.all("form"));
      const { settings, paste = "", file = null } = entries;
      const damaged: string[] = [];
      if (isForm(settings)) form = settings;
      else if (settings !== undefined) damaged.push("settings");
      if (typeof paste === "string") text.paste = paste;
      else damaged.push("paste");
      if (file === null || isFile(file)) text.file = file;
      else damaged.push("file");
      for (const key of damaged) await this.store.write([{ table: "form", key }]);
      const items = await this.shelf.refresh();
      const what = [
        ...(damaged.includes("settings") ? ["the settings"] : []),
        ...(damaged.some((key) => key !== "settings") ? ["the text"] : []),
        ...(items > 0 ? [items === 1 ? "a model" : `${items} models`] : []),
      ];
      if (what.length > 0) {
        this.tell("damage", `What was kept here was damaged, and is dropped: ${what.join(", ")}.`);
      }
      this.elsewhere = await held();
    } catch (error) {
      const { message } = error as StoreError;
      this.tell(
        "all",
        `Nothing is kept here over a reload: ${message}. Download what should last.`,
      );
    }
    if (!isSecureContext && this.store) {
      this.tell("run", `Over plain http no unfinished run is kept: ${LOSS}.`);
    }
    return { form, text };
  }

  /** All that is to be said about what is not kept. */
  get note(): string {
    return [...this.notes.values()].join(" ");
  }

  tell(what: string, sentence: string): void {
    if (sentence) this.notes.set(what, sentence);
    else this.notes.delete(what);
    this.changed();
  }

  /** Whether an unfinished run can be kept: its text is told by a hash, for which plain http has nothing. */
  get keepsRuns(): boolean {
    return this.store !== null && isSecureContext;
  }

  /** Newest first. */
  get items(): readonly Kept[] {
    return this.shelf?.items ?? [];
  }

  /** Sees what other tabs have changed. */
  async look(): Promise<void> {
    this.elsewhere = await held();
    await this.attempt("list", "The list of models could not be read", () => this.shelf?.refresh());
    this.changed();
  }

  keepForm(state: FormState): void {
    this.pending = state;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.flush(), FORM_MS);
  }

  /** Keeps what waits to be kept. */
  flush(): void {
    const { pending: value } = this;
    this.pending = null;
    if (value === null) return;
    void this.attempt("settings", "The settings are not kept", () =>
      this.store?.write([{ table: "form", key: "settings", value }]),
    );
  }

  keepText(part: Partial<TextParts>): void {
    const changes = Object.entries(part).map(([key, value]) => ({
      table: "form" as const,
      key,
      value: value ?? undefined,
    }));
    void this.attempt("text", `The text is not kept, and ${LOSS}`, () =>
      this.store?.write(changes),
    );
  }

  /** Takes a run for this tab. @returns false where another has it */
  async begin(id: string, before: Kept | null = null): Promise<boolean> {
    const release = await hold(id);
    if (release === null) return false;
    this.end();
    this.release = release;
    this.kept = { id, step: before?.step ?? 0, text: before !== null, model: false };
    return true;
  }

  /** Gives the run back to all tabs. */
  end(): void {
    this.release?.();
    this.release = null;
    this.kept = { id: "", step: 0, text: false, model: false };
  }

  async keepRun(info: ModelInfo, state: Blob, documents: readonly string[]): Promise<void> {
    const { kept } = this;
    const text = kept.text ? null : new Blob([documents.join("\n")]);
    const refusal = `The run is not kept since step ${kept.step}, and ${LOSS}`;
    if (await this.attempt("run", refusal, () => this.shelf?.keepRun(info, state, text))) {
      Object.assign(kept, { step: info.step, text: true });
    }
    this.changed();
  }

  async keepModel(info: ModelInfo, file: Blob): Promise<void> {
    const { kept } = this;
    const refusal = `The model is not kept, and ${LOSS}: download it`;
    if (await this.attempt("model", refusal, () => this.shelf?.keepModel(info, file))) {
      kept.model = true;
    }
    this.changed();
  }

  /** The model is in the user's hands. */
  downloaded(id: string): void {
    if (id === this.kept.id) this.kept.model = true;
  }

  /** Whether leaving the page would lose some of a run. */
  loses({ id, phase, step, model }: Run): boolean {
    if (id !== this.kept.id) return false;
    if (phase === "done") return !this.kept.model;
    return (
      (phase === "running" || phase === "paused") &&
      (model !== null ? !this.kept.model : step > this.kept.step)
    );
  }

  /** model.safetensors of a model, training.safetensors of a run. @throws UserError where it is damaged */
  weights({ id }: Kept): Promise<Blob> {
    return this.shelf!.weights(id);
  }

  /** The text of a run. @throws UserError where it is damaged */
  text({ id }: Kept): Promise<string> {
    return this.shelf!.text(id);
  }

  async remove({ id }: Pick<Kept, "id">): Promise<void> {
    await this.attempt("list", "It could not be removed", () => this.shelf?.remove(id));
    this.changed();
  }

  /** @returns whether it was done; if not, the note says so */
  private async attempt(what: string, refusal: string, action: () => Promise<unknown> | undefined) {
    if (this.store === null) return false;
    try {
      await action();
      this.tell(what, "");
      return true;
    } catch (error) {
      this.tell(what, `${refusal}: ${(error as Error).message}.`);
      return false;
    }
  }
}

function isForm(value: unknown): value is FormState {
  const { values, ...names } = (value ?? {}) as Partial<FormState>;
  const { preset, device, source } = names;
  return (
    typeof values === "object" &&
    [preset, device, source, ...Object.values(values ?? {})].every((x) => typeof x === "string")
  );
}

function isFile(value: unknown): value is TextParts["file"] {
  const { name, bytes } = value as { name?: unknown; bytes?: unknown };
  return typeof name === "string" && bytes instanceof Uint8Array;
}
