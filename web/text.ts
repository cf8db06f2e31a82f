// The training text: the names that come with the page, pasted text, or a file that is chosen or dropped.

import { isStream } from "../src/choices.ts";
import type { Config, ConfigChoice } from "../src/config.ts";
import { count, plural } from "../src/count.ts";
import { DataError, UserError } from "../src/errors.ts";
import type { Corpus } from "../src/text/corpus.ts";
import type { Coverage } from "../src/text/coverage.ts";
import { decodeText } from "../src/text/decode.ts";
import { fromText } from "../src/text/read_corpus.ts";
import names from "../src/text/names.txt?raw";

/** How the form has it that the text is read. */
export type TextReading = Pick<ConfigChoice, "format" | "field" | "separator" | "skip_bad_lines">;

export type Source = "names" | "paste" | "file";

/** A text is read on the page's own thread, and a larger one would hold it up for seconds. */
const MAX_MB = 64;

/** What the user gave. */
export interface TextParts {
  paste: string;
  /** bytes is null where the file is too large, or the browser could not read it. */
  file: { name: string; size: number; bytes: Uint8Array | null } | null;
}

export interface TrainingText {
  format: Config["format"];
  corpus: Corpus;
  /** Which format was found, and why: "text: …"; null where the user says it. */
  format_reason: string | null;
  /** One, where the text is one stream. */
  documents: string[];
  length: number;
  /** Distinct characters. */
  num_chars: number;
  /** Where it came from. */
  name: string;
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

export interface TextListener {
  /** There is another text, or it is to be read otherwise. */
  changed(): void;
  /** The user gave something that is worth keeping. */
  given(part: Partial<TextParts>): void;
}

export class TextInput {
  /** How the text is read. */
  reading: TextReading = { format: "auto", field: "", separator: "", skip_bad_lines: false };
  source: Source = "names";
  private readonly elements: TextElements;
  private readonly listener: TextListener;
  private file: TextParts["file"] = null;
  private timer = 0;

  constructor(elements: TextElements, listener: TextListener) {
    this.elements = elements;
    this.listener = listener;
    const { fieldset, textarea, file } = elements;
    for (const radio of fieldset.querySelectorAll<HTMLInputElement>("input[type=radio]"))
      radio.addEventListener("change", () => this.choose(radio.value as Source));
    textarea.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = window.setTimeout(() => {
        listener.given({ paste: textarea.value });
        listener.changed();
      }, 200);
    });
    file.addEventListener("change", () => {
      if (file.files?.length) void this.open(file.files[0]);
    });
  }

  /** @returns whether the text is to be read in another way than before */
  readAs({ format, field, separator, skip_bad_lines }: TextReading): boolean {
    const { reading } = this;
    const wanted: TextReading = { format, field, separator, skip_bad_lines };
    this.reading = wanted;
    return JSON.stringify(wanted) !== JSON.stringify(reading);
  }

  /** Takes what was kept. */
  restore({ paste, file }: TextParts, source: string): void {
    const { textarea, fileName, panels } = this.elements;
    textarea.value = paste;
    this.file = file;
    if (file) fileName.textContent = file.name;
    if (Object.hasOwn(panels, source)) this.show(source as Source);
  }

  /**
   * The training text; null if there is none, and then the page says why.
   * @param demanded false before Start is pressed: no complaint that nothing was given yet
   */
  read(demanded: boolean): TrainingText | null {
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

  /** Reads a file, and takes it for the text. */
  async open(file: File): Promise<void> {
    const { name, size } = file;
    const bytes =
      size > MAX_MB * 2 ** 20
        ? null
        : await file.arrayBuffer().then(
            (buffer) => new Uint8Array(buffer),
            () => null,
          );
    this.file = { name, size, bytes };
    this.elements.fileName.textContent = name;
    this.listener.given({ file: bytes && this.file });
    this.choose("file");
  }

  /** Where the text is given. */
  get control(): HTMLElement {
    const { file, textarea } = this.elements;
    return this.source === "file" ? file : textarea;
  }

  /** @throws DataError */
  private parse(): TrainingText {
    const { source, file, reading } = this;
    if (source === "names") {
      const known = reading.format === "auto" ? { ...reading, format: "lines" as const } : reading;
      return trainingText(names, "names.txt", known);
    }
    if (source === "paste") {
      return trainingText(this.elements.textarea.value, "The pasted text", reading);
    }
    if (file === null) {
      throw new DataError("No file is chosen yet; choose a text file, or drop one on the page.");
    }
    const { name, size, bytes } = file;
    if (size > MAX_MB * 2 ** 20) {
      throw new DataError(
        `${name} has ${count(Math.ceil(size / 2 ** 20))} MB, and the page reads texts of up to ${MAX_MB} MB; ` +
          `take a part of it, or train on it from the command line.`,
      );
    }
    if (bytes === null) {
      throw new DataError(`${name} could not be read; choose a text file, not a folder.`);
    }
    return trainingText(decodeText(bytes, name), name, reading);
  }

  private choose(source: Source): void {
    this.show(source);
    this.listener.changed();
  }

  private show(source: Source): void {
    const { fieldset, panels } = this.elements;
    this.source = source;
    fieldset.querySelector<HTMLInputElement>(`[value=${source}]`)!.checked = true;
    for (const [name, panel] of Object.entries(panels)) panel.hidden = name !== source;
  }
}

function trainingText(text: string, name: string, reading: TextReading): TrainingText {
  const corpus = fromText(text, reading, name);
  const { format, format_reason, num_docs, ids, tokenizer } = corpus;
  const documents = Array.from({ length: num_docs }, (_, d) => corpus.source(d));
  const num_chars = tokenizer.chars.length;
  return { corpus, format, format_reason, documents, length: ids.length, num_chars, name };
}

/** What of a text the context leaves unread, and what helps. */
export function unreadLine({ num_text_tokens, num_unread, fitting_block_size }: Coverage): string {
  if (num_unread === 0) return "";
  const share = Math.max(1, Math.round((100 * num_unread) / num_text_tokens));
  const longer =
    fitting_block_size === null
      ? "Format text reads them all."
      : `A block_size of ${count(fitting_block_size)} reads nearly all of them, format text all.`;
  return `${share} % of the characters lie beyond the context, and are not read. ${longer}`;
}

function describe({
  corpus,
  format,
  format_reason,
  documents,
  length,
  num_chars,
}: TrainingText): string {
  const found =
    (format_reason === null ? "" : ` Read as ${format_reason}.`) +
    (corpus.skipped.length === 0 ? "" : ` Left out: ${corpus.skipped.join(", ")}.`);
  return isStream(format)
    ? `One text of ${plural(length, "character")}, ${count(num_chars)} of them different.${found}`
    : `${plural(documents.length, "document")}, ${plural(num_chars, "different character")}.${found}`;
}
