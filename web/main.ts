// The page: reads the form, starts runs, keeps what they make, and shows their state once a frame.

import type { ConfigChoice } from "../src/config.ts";
import type { DeviceChoice } from "../src/device/choose.ts";
import { dimsOf, parameterCount } from "../src/model/parameters.ts";
import { chooseTokenizer } from "../src/text/choose_tokenizer.ts";
import { coverage } from "../src/text/coverage.ts";
import { plural } from "../src/count.ts";
import { byId } from "./dom.ts";
import { listenForDrops } from "./drop.ts";
import type { Exportable, ExportDialog } from "./export.ts";
import { SettingsForm } from "./form.ts";
import { Keeper } from "./keep.ts";
import { downloadModel, Library, newId, textsIn } from "./library.ts";
import { ModelList } from "./models.ts";
import { reviseProblems, showProblems } from "./problems.ts";
import { Run } from "./run.ts";
import { whyNoWebGpu } from "./support.ts";
import { TextInput, type TrainingText, unreadLine } from "./text.ts";
import { type Preparation, View } from "./view.ts";

/** A run is kept this often, and whenever it pauses or the page is left for another. */
const SAVE_MS = 60_000;
/** A reset waits no longer for a run to be kept. */
const RESET_MS = 1000;

const text = new TextInput(
  {
    fieldset: byId<HTMLFieldSetElement>("text"),
    panels: { names: byId("panel-names"), paste: byId("panel-paste"), file: byId("panel-file") },
    textarea: byId<HTMLTextAreaElement>("paste"),
    file: byId<HTMLInputElement>("file"),
    fileName: byId("file-name"),
    summary: byId("text-summary"),
    error: byId("text-error"),
  },
  { changed: textChanged, given: (part) => keeper.keepText(part) },
);
const temperature = byId<HTMLInputElement>("setting-temperature");
const form = new SettingsForm(
  byId<HTMLSelectElement>("preset"),
  byId("fields"),
  byId<HTMLDetailsElement>("more"),
  { temperature: { input: temperature, error: byId("setting-temperature-error") } },
  settingsChanged,
);
const keeper = new Keeper(schedule);
/** Called whenever a run was kept, or could not be. */
let saved = () => {};
const run = new Run({
  changed: runChanged,
  saved: (info, file) => void keeper.keepRun(info, file, run.text.documents).then(() => saved()),
  trained: (info, file) => void keeper.keepModel(info, file),
});
const view = new View();
const library = new Library(keeper, run);
/** Of the formats of other programs, which are loaded when they are asked for. */
let exporting: Promise<ExportDialog> | undefined;
const models = new ModelList(byId("models-list"), {
  open: (item) => void library.open(item),
  goOn: (item) => void library.goOn(item),
  download: (item) => void library.download(item),
  export: (item) => void openExport(library.exportable(item)),
  remove: (item) => {
    byId("models-title").focus(); // the button goes
    void library.remove(item);
  },
});
/** What a run would be with the form as it is. */
const next: Preparation = { num_steps: 1, vocab_size: null, noWebGpu: null, device: "auto" };

/** Null where there is none, or it cannot be used. */
let training: TrainingText | null = null;

function textChanged(): void {
  training = text.read(false);
  view.showDocuments(training?.documents ?? []);
  settingsChanged();
}

function settingsChanged(): void {
  const config = form.read();
  if (config && text.readAs(config)) return textChanged();
  if (config) next.num_steps = config.num_steps;
  if (config) next.vocab_size = training && vocabularyOf(config, training);
  const { vocab_size } = next;
  const parameters = config && vocab_size && parameterCount(dimsOf(config, vocab_size));
  byId("size").textContent = parameters ? `A model of ${plural(parameters, "parameter")}.` : "";
  byId("unread").textContent =
    config && training && chooseTokenizer(config, training.corpus).vocab_size === 0
      ? unreadLine(coverage(training.corpus, config.block_size))
      : "";
  next.device = deviceChoice();
  reviseProblems(byId("problems"));
  keeper.keepForm({ ...form.values(), device: next.device, source: text.source });
  schedule();
}

/** How many tokens there will be, or how many at most where they are learnt. */
function vocabularyOf(config: ConfigChoice, { corpus, num_chars }: TrainingText): number {
  return chooseTokenizer(config, corpus).vocab_size || num_chars + 1;
}

function deviceChoice(): DeviceChoice {
  return new FormData(byId<HTMLFormElement>("setup")).get("device") as DeviceChoice;
}

async function start(): Promise<void> {
  training = text.read(true);
  const config = form.read();
  showProblems(byId("problems"), (field) => form.reveal(field));
  if (training === null || config === null) return;
  const id = newId();
  await keeper.begin(id);
  run.begin(id, { ...config, format: training.format }, training, deviceChoice());
}

function runChanged(): void {
  const { phase, error } = run;
  if (phase === "failed" && !library.dropped() && error?.setting) {
    form.showError(error.setting, error.message);
  }
  if (run.unsaved) keeper.refuse("run", "the run", run.unsaved.replace(/\.$/, ""));
  schedule();
}

function write(again: boolean): void {
  if (!run.writes) return;
  const prompt = byId<HTMLInputElement>("prompt").value;
  run.write({ prompt, temperature: Number(temperature.value) }, deviceChoice(), again);
}

/** The newest run that could go on. */
const offered = () => {
  const [newest] = keeper.items.filter(({ id }) => !keeper.elsewhere.has(id));
  return run.phase === "idle" && newest?.kind === "run" ? newest : null;
};

/** Nothing is shown before what was kept is there. */
let scheduled = true;

/** Shows the state at the next frame, however often it changes until then. */
function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    view.show(run, next, offered(), keeper.note);
    models.show(keeper.items, keeper.elsewhere, run.id, run.active);
    removeEventListener("beforeunload", ask);
    // Only then: a page that may ask is not kept ready for a way back to it.
    if (keeper.loses(run)) addEventListener("beforeunload", ask);
  });
}

async function openExport(model: Exportable): Promise<void> {
  exporting ??= import("./export.ts").then(({ ExportDialog }) => new ExportDialog());
  (await exporting).open(model);
}

function ask(event: BeforeUnloadEvent): void {
  event.preventDefault();
  event.returnValue = true;
}

function save(): void {
  if (keeper.keepsRuns) run.save();
}

/** One that pauses is kept already. */
function saveRunning(): void {
  if (run.phase === "running") save();
}

byId("setup").addEventListener("submit", (event) => {
  event.preventDefault();
  if (run.phase === "running") {
    run.pause(); // first: what is saved is then where it stands
    save();
  } else if (run.phase === "paused") {
    run.resume();
  } else if (run.phase !== "opening") {
    void start();
  }
});
byId("reset").addEventListener("click", async () => {
  // The button is about to be disabled: the keyboard goes on at Start.
  byId("go").focus();
  if (run.active && keeper.keepsRuns && keeper.loses(run)) {
    const kept = new Promise<void>((resolve) => (saved = resolve));
    run.save();
    await Promise.race([kept, new Promise((resolve) => setTimeout(resolve, RESET_MS))]);
  }
  run.reset();
  void keeper.end();
});
byId("go-on").addEventListener("click", () => {
  const item = offered();
  byId("go").focus(); // the button goes
  if (item) void library.goOn(item);
});
byId("download").addEventListener("click", () => {
  if (run.model === null) return;
  downloadModel(run.model);
  keeper.downloaded(run.id);
  schedule();
});
byId("export-open").addEventListener("click", () => {
  const { model } = run;
  if (model === null) return;
  const { name } = run.text;
  void openExport({ name, trained_on: textsIn(name), file: () => Promise.resolve(model) });
});
byId("writing").addEventListener("submit", (event) => {
  event.preventDefault();
  write(false);
});
temperature.addEventListener("input", () => {
  schedule();
  run.setTemperature(Number(temperature.value));
  if (run.writes && run.phase !== "running") write(true);
});
byId<HTMLInputElement>("model-file").addEventListener("change", ({ target }) => {
  const input = target as HTMLInputElement;
  const [file] = input.files ?? [];
  if (file) void library.openFile(file);
  input.value = ""; // the same file may be chosen again
});
byId("device-choice").addEventListener("change", settingsChanged);
listenForDrops(
  () => !run.active,
  (file) => void (/\.safetensors$/i.test(file.name) ? library.openFile(file) : text.open(file)),
);
setInterval(saveRunning, SAVE_MS);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") return void keeper.look();
  keeper.flush();
  saveRunning();
});

const kept = await keeper.open();
text.restore(kept.text, kept.form?.source ?? "names");
if (kept.form) {
  form.restore(kept.form.preset, kept.form.values);
  const devices = document.querySelectorAll<HTMLInputElement>("[name=device]");
  for (const radio of devices) radio.checked = radio.value === kept.form.device;
}
scheduled = false;
textChanged();
const [newest] = keeper.items;
if (newest?.kind === "model") await library.open(newest);
next.noWebGpu = await whyNoWebGpu();
schedule();
