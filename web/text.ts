// The training text: the names that come with the page, pasted text, or a file that is chosen or dropped.

import { isStream } from "../src/choices.ts";
import type { Config, ConfigChoice } from "../src/config.ts";
import { DataError, UserError } from "../src/errors.ts";
import { decodeText } from "../src/text/decode.ts";
import { fromText } from "../src/text/read_corpus.ts";
import names from "../src/text/names.txt?raw";
import { count, formatNumber } from "./format.ts";

type Source = "names" | "paste" | "file";

export interface TrainingText {
  format: Config["format"];
  /** One, where the text is one stream. */
  documents: string[];
  length: number;
  /** Distinct characters. */
  num_chars: number;
}

/** Parts of index.html. */
export interface TextElements {
  fieldset: HTMLFieldSetElement;
  panels: Record<Source, HTMLElement>;
  textarea: HTMLTextAreaElement;
  file: HTMLInputElement;
  fileName: HTMLElement;
  summary: HTMLElement;
  error: HTMLElement;
}

export class TextInput {
  /** How the text is read. */
  format: ConfigChoice["format"] = "auto";
  private readonly elements: TextElements;
  private readonly changed: () => void;
  private source: Source = "names";
  /** bytes is null where the browser could not read the file. */
  private file: { name: string; bytes: Uint8Array | null } | null = null;
  private timer = 0;

  /** @param changed called when there is another text */
  constructor(elements: TextElements, changed: () => void) {
    this.elements = elements;
    this.changed = changed;
    const { fieldset, textarea, file } = elements;
    for (const radio of fieldset.querySelectorAll<HTMLInputElement>("input[type=radio]"))
      radio.addEventListener("change", () => this.choose(radio.value as Source));
    textarea.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = window.setTimeout(changed, 200);
    });
    file.addEventListener("change", () => {
      if (file.files?.length) void this.open(file.files);
    });
    this.listenForDrops();
  }

  /**
   * The training text; null if there is none, and then the page says why.
   * @param demanded false before Start is pressed: no complaint that nothing was given yet
   */
  read(demanded: boolean): TrainingText | null {
    clearTimeout(this.timer);
    const { summary, error, textarea, file } = this.elements;
    summary.textContent = error.textContent = "";
    textarea.removeAttribute("aria-invalid");
    file.removeAttribute("aria-invalid");
    const nothing =
      (this.source === "paste" && textarea.value === "") ||
      (this.source === "file" && this.file === null);
    if (nothing && !demanded) return null;
    try {
      const text = this.parse();
      summary.textContent = describe(text);
      return text;
    } catch (problem) {
      if (!(problem instanceof UserError)) throw problem;
      error.textContent = problem.message;
      this.control.setAttribute("aria-invalid", "true");
      return null;
    }
  }

  focus(): void {
    this.control.focus();
  }

  private get control(): HTMLElement {
    return this.source === "file" ? this.elements.file : this.elements.textarea;
  }

  /** @throws DataError */
  private parse(): TrainingText {
    const { source, file, format } = this;
    if (source === "names") {
      return trainingText(names, "names.txt", format === "auto" ? "lines" : format);
    }
    if (source === "paste") {
      return trainingText(this.elements.textarea.value, "The pasted text", format);
    }
    if (file === null) {
      throw new DataError("No file is chosen yet; choose a text file, or drop one on the page.");
    }
    if (file.bytes === null) {
      throw new DataError(`${file.name} could not be read; choose a text file, not a folder.`);
    }
    return trainingText(decodeText(file.bytes, file.name), file.name, format);
  }

  private choose(source: Source): void {
    const { fieldset, panels } = this.elements;
    this.source = source;
    fieldset.querySelector<HTMLInputElement>(`[value=${source}]`)!.checked = true;
    for (const [name, panel] of Object.entries(panels)) panel.hidden = name !== source;
    this.changed();
  }

  private async open(files: FileList): Promise<void> {
    const [file] = files;
    const bytes = await file.arrayBuffer().then(
      (buffer) => new Uint8Array(buffer),
      () => null,
    );
    this.file = { name: file.name, bytes };
    this.elements.fileName.textContent = file.name;
    this.choose("file");
  }

  /** A file may be dropped anywhere: a miss would make the browser leave the page for it. */
  private listenForDrops(): void {
    const { fieldset } = this.elements;
    const takes = (event: DragEvent) =>
      event.dataTransfer?.types.includes("Files") && !fieldset.matches(":disabled");
    document.addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = takes(event) ? "copy" : "none";
      document.body.classList.toggle("dropping", takes(event));
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) document.body.classList.remove("dropping");
    });
    document.addEventListener("drop", (event) => {
      document.body.classList.remove("dropping");
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      if (takes(event) && event.dataTransfer.files.length > 0)
        void this.open(event.dataTransfer.files);
    });
  }
}

function trainingText(text: string, source: string, asked: ConfigChoice["format"]): TrainingText {
  const corpus = fromText(text, asked, source);
  const { format, num_docs, ids, tokenizer } = corpus;
  const documents = Array.from({ length: num_docs }, (_, d) => corpus.document(d));
  return { format, documents, length: ids.length, num_chars: tokenizer.chars.length };
}

function describe({ format, documents, length, num_chars }: TrainingText): string {
  if (isStream(format)) {
    return `One text of ${count(length, "character")}, ${formatNumber(num_chars)} of them different.`;
  }
  return `${count(documents.length, "document")}, ${count(num_chars, "different character")}.`;
}
