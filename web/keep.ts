// What survives a reload: the form, its text, the shelf; and a sentence wherever the browser does not play along.

import { count } from "../src/count.ts";
import { groupBy } from "../src/group_by.ts";
import { joinDocuments } from "./kept_text.ts";
import type { ModelInfo, Run } from "./run.ts";
import { held, hold, type Kept, type Release, Shelf } from "./shelf.ts";
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

/** In the order in which they are told of. */
const PARTS = ["settings", "text", "run", "model", "list"] as const;
type Part = (typeof PARTS)[number];

export class Keeper {
  /** What is not kept, and why. */
  private readonly refused = new Map<Part, { label: string; reason: string }>();
  /** What else is to be said. */
  private readonly sentences = new Map<string, string>();
  /** Runs that any tab has taken, this one too. */
  private taken: ReadonlySet<string> = new Set();
  private shelf: Shelf | null = null;
  private store: Store | null = null;
  /** Of the run that is shown, what of it would come back. */
  private kept = { id: "", step: 0, text: false, model: false };
  private release: Release | null = null;
  /** A model that is not kept. */
  private waiting: { info: ModelInfo; file: Blob } | null = null;
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
      this.taken = await held();
    } catch (error) {
      const { message } = error as StoreError;
      this.tell(
        "all",
        `Nothing is kept here over a reload: ${message}. Download what should last.`,
      );
    }
    if (!isSecureContext && this.store) {
      const reason = "over plain http the browser does not do what it takes to keep one";
      this.refuse("run", "an unfinished run", reason);
    }
    return { form, text };
  }

  /** All that is to be said about what is not kept; empty where all is. */
  get note(): string {
    const inOrder = PARTS.flatMap((part) => this.refused.get(part) ?? []);
    const refused = groupBy(inOrder, ({ reason }) => reason);
    const list = new Intl.ListFormat("en");
    const losses = [...refused].map(([reason, parts]) => {
      const labels = list.format(parts.map(({ label }) => label));
      return `A reload would lose ${labels}: ${reason}.`;
    });
    return [...this.sentences.values(), ...losses].join(" ");
  }

  /** @param topic of the sentence, which takes the place of the one before */
  tell(topic: string, sentence: string): void {
    this.sentences.set(topic, sentence);
    this.changed();
  }

  /** Says why a part is not kept. */
  refuse(part: Part, label: string, reason: string): void {
    this.refused.set(part, { label, reason });
    this.changed();
  }

  /** Whether an unfinished run can be kept: its text is told by a hash, for which plain http has nothing. */
  get keepsRuns(): boolean {
    return this.store !== null && isSecureContext;
  }

  /** Runs that another tab goes on with. */
  get elsewhere(): ReadonlySet<string> {
    return new Set([...this.taken].filter((id) => id !== this.kept.id));
  }

  /** Newest first. */
  get items(): readonly Kept[] {
    return this.shelf?.items ?? [];
  }

  /** Sees what other tabs have changed. */
  async look(): Promise<void> {
    this.taken = await held();
    await this.attempt("list", "what other tabs keep", () => this.shelf?.refresh());
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
    void this.attempt("settings", "the settings", () =>
      this.store?.write([{ table: "form", key: "settings", value }]),
    );
  }

  keepText(part: Partial<TextParts>): void {
    const changes = Object.entries(part).map(([key, value]) => ({
      table: "form" as const,
      key,
      value: value ?? undefined,
    }));
    void this.attempt("text", "the text", () => this.store?.write(changes));
  }

  /** Takes a run for this tab. @returns false where another has it */
  async begin(id: string, before: Kept | null = null): Promise<boolean> {
    const release = await hold(id);
    if (release === null) return false;
    await this.end();
    this.release = release;
    this.kept = { id, step: before?.step ?? 0, text: before !== null, model: false };
    return true;
  }

  /** Gives the run back to all tabs. */
  async end(): Promise<void> {
    const { release } = this;
    this.release = null;
    this.waiting = null;
    this.refused.delete("model");
    if (isSecureContext) this.refused.delete("run");
    this.kept = { id: "", step: 0, text: false, model: false };
    await release?.();
    await this.look();
  }

  async keepRun(info: ModelInfo, state: Blob, documents: readonly string[]): Promise<void> {
    const { kept } = this;
    const text = kept.text ? null : new Blob([joinDocuments(documents, info.config.format)]);
    const label = `the run since step ${count(kept.step)}`;
    if (await this.attempt("run", label, () => this.shelf?.keepRun(info, state, text))) {
      Object.assign(kept, { step: info.step, text: true });
    }
    this.changed();
  }

  async keepModel(info: ModelInfo, file: Blob): Promise<void> {
    const { kept } = this;
    this.waiting = { info, file };
    if (await this.attempt("model", "the model", () => this.shelf?.keepModel(info, file))) {
      kept.model = true;
      this.waiting = null;
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
    await this.attempt("list", "that it was removed", () => this.shelf?.remove(id));
    // There may be room now for a model that was refused.
    if (this.waiting) await this.keepModel(this.waiting.info, this.waiting.file);
    this.changed();
  }

  /** @returns whether it was done; if not, the note says so */
  private async attempt(part: Part, label: string, action: () => Promise<unknown> | undefined) {
    if (this.store === null) return false;
    try {
      await action();
      this.refused.delete(part);
      this.changed();
      return true;
    } catch (error) {
      this.refuse(part, label, (error as Error).message);
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
