// The dialog that gives out a model in a format that other programs read: made in a worker, downloaded as one file.

import { type ExportFormat, exportFormats, type ExportName } from "../src/exchange/formats.ts";
import { byId } from "./dom.ts";
import type { ExportReport, ExportRequest } from "./export_worker.ts";
import { downloadFile } from "./library.ts";

/** What is to be exported. */
export interface Exportable {
  name: string;
  /** Names of the texts that it has learnt from; none where nobody knows. */
  trained_on: readonly string[];
  /** Its model.safetensors. */
  file: () => Promise<Blob>;
}

export class ExportDialog {
  private readonly dialog = byId<HTMLDialogElement>("export");
  private readonly half = byId<HTMLInputElement>("export-half");
  private readonly button = byId<HTMLButtonElement>("export-go");
  private readonly said = byId("export-said");
  private model: Exportable | null = null;
  private worker: Worker | null = null;

  constructor() {
    const rows = Object.entries<ExportFormat>(exportFormats).map(([name, { what }]) => {
      const label = document.createElement("label");
      const radio = document.createElement("input");
      Object.assign(radio, { type: "radio", name: "export-format", value: name });
      const text = document.createElement("span");
      const title = document.createElement("strong");
      title.textContent = name;
      text.append(title, ` ${what}`);
      label.append(radio, text);
      return label;
    });
    byId("export-formats").append(...rows);
    rows[0].querySelector("input")!.checked = true;
    this.dialog.addEventListener("change", () => this.update());
    this.dialog.addEventListener("close", () => this.end());
    byId("export-close").addEventListener("click", () => this.dialog.close());
    byId("export-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.make();
    });
  }

  open(model: Exportable): void {
    this.model = model;
    byId("export-model").textContent = model.name;
    this.update();
    this.dialog.showModal();
  }

  private get format(): ExportName {
    const form = new FormData(byId<HTMLFormElement>("export-form"));
    return form.get("export-format") as ExportName;
  }

  private update(): void {
    const { half }: ExportFormat = exportFormats[this.format];
    this.half.disabled = !half;
    if (!half) this.half.checked = false;
    this.say("");
  }

  private async make(): Promise<void> {
    const { model, format, half } = this;
    if (model === null || this.worker !== null) return;
    this.button.disabled = true;
    this.say("Making it…");
    const worker = new Worker(new URL("./export_worker.ts", import.meta.url), { type: "module" });
    this.worker = worker;
    worker.addEventListener("message", ({ data }: MessageEvent<ExportReport>) => {
      this.end();
      if (data.type === "refused") return this.say(data.message, true);
      downloadFile(data.file, data.name);
      this.say([`${data.name} is made.`, ...data.notes].join(" "));
    });
    worker.addEventListener("error", ({ message }) => {
      this.end();
      this.say(`It could not be made: ${message || "its worker failed"}.`, true);
    });
    try {
      const page = new URL("./writer.html", document.baseURI).href;
      const { trained_on } = model;
      const file = await model.file();
      worker.postMessage({
        file,
        format,
        half: half.checked,
        trained_on,
        page,
      } satisfies ExportRequest);
    } catch (error) {
      this.end();
      this.say((error as Error).message, true);
    }
  }

  private end(): void {
    this.worker?.terminate();
    this.worker = null;
    this.button.disabled = false;
  }

  private say(text: string, isBad = false): void {
    this.said.textContent = text;
    this.said.className = isBad ? "field-error" : "hint";
  }
}
