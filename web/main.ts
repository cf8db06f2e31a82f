// The page: reads the form, starts runs, keeps what they make, and shows their state once a frame.

import { UserError } from "../src/errors.ts";
import { decodeModelFile } from "../src/files/model_files.ts";
import type { DeviceChoice } from "../src/device/choose.ts";
import { dimsOf, parameterCount } from "../src/model/parameters.ts";
import { documentsOf } from "../src/text/documents.ts";
import { plural } from "../src/count.ts";
import { byId } from "./dom.ts";
import { listenForDrops } from "./drop.ts";
import { SettingsForm } from "./form.ts";
import { LossHistory } from "./history.ts";
import { Keeper } from "./keep.ts";
import { ModelList } from "./models.ts";
import { reviseProblems, showProblems } from "./problems.ts";
import { Run, type RunText } from "./run.ts";
import type { Kept } from "./shelf.ts";
import { whyNoWebGpu } from "./support.ts";
import { TextInput } from "./text.ts";
import { type Preparation, View } from "./view.ts";

/** A run is kept this often, and whenever it pauses or the page is left for another. */
const SAVE_MS = 60_000;

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
const run = new Run({
  changed: runChanged,
  saved: (info, file) => void keeper.keepRun(info, file, run.text.documents),
  trained: (info, file) => void keeper.keepModel(info, file),
});
const view = new View();
const models = new ModelList(byId("models-list"), {
  open: (item) => void open(item),
  goOn: (item) => void goOn(item),
  download: (item) =>
    void keeper.weights(item).then(
      (file) => download(file),
      (e) => drop(item, e),
    ),
  remove: (item) => {
    byId("models-title").focus(); // the button goes
    void keeper.remove(item);
    if (run.phase === "open" && run.id === item.id) run.reset();
  },
});
/** What a run would be with the form as it is. */
const next: Preparation = { num_steps: 1, vocab_size: null, noWebGpu: null, device: "auto" };

function textChanged(): void {
  const training = text.read(false);
  next.vocab_size = training ? training.num_chars + 1 : null;
  view.showDocuments(training?.documents ?? []);
  settingsChanged();
}

function settingsChanged(): void {
  const config = form.read();
  if (config && config.format !== text.format) {
    text.format = config.format;
    textChanged();
    return;
  }
  if (config) next.num_steps = config.num_steps;
  const { vocab_size } = next;
  const parameters = config && vocab_size && parameterCount(dimsOf(config, vocab_size));
  byId("size").textContent = parameters ? `A model of ${plural(parameters, "parameter")}.` : "";
  next.device = deviceChoice();
  reviseProblems(byId("problems"));
  keeper.keepForm({ ...form.values(), device: next.device, source: text.source });
  schedule();
}

function deviceChoice(): DeviceChoice {
  return new FormData(byId<HTMLFormElement>("setup")).get("device") as DeviceChoice;
}

async function start(): Promise<void> {
  const training = text.read(true);
  const config = form.read();
  showProblems(byId("problems"), (field) => form.reveal(field));
  if (training === null || config === null) return;
  const id = newId();
  await keeper.begin(id);
  run.begin(id, { ...config, format: training.format }, training, deviceChoice());
}

/** Goes on with a kept run. */
async function goOn(item: Kept): Promise<void> {
  try {
    const state = await keeper.weights(item);
    const { name, config } = item;
    const documents = documentsOf(await keeper.text(item), name, config.format);
    if (!(await keeper.begin(item.id, item))) return void keeper.look();
    const text: RunText = { name, documents };
    run.begin(item.id, config, text, "auto", { info: item, state });
  } catch (error) {
    drop(item, error);
  }
}

/** Opens a kept model. */
async function open(item: Kept): Promise<void> {
  try {
    const file = await keeper.weights(item);
    keeper.end();
    run.open(item, file);
  } catch (error) {
    drop(item, error);
  }
}

/** Opens a model of the command line, or of another page. */
async function openFile(file: File): Promise<void> {
  const error = byId("models-error");
  error.textContent = "";
  try {
    const bytes = await file.arrayBuffer().catch(() => {
      throw new UserError(`${file.name} could not be read; choose a file like model.safetensors.`);
    });
    const { config, step, layout } = decodeModelFile(new Uint8Array(bytes), file.name);
    const { dims } = layout;
    const counts = { vocab_size: dims.V, num_params: parameterCount(dims) };
    const history = new LossHistory(1).state();
    const info = { id: newId(), name: file.name, config, step, ...counts, history };
    const model = new Blob([bytes]);
    keeper.end();
    run.open(info, model);
    await keeper.keepModel(info, model);
  } catch (problem) {
    if (!(problem instanceof UserError)) throw problem;
    error.textContent = problem.message;
  }
}

/** Something that was kept turns out to be damaged. */
function drop(item: Kept, error: unknown): void {
  if (!(error instanceof UserError)) throw error;
  const what = item.kind === "run" ? "run" : "model";
  const sentence = `A kept ${what} on ${item.name} was damaged, and is dropped: ${error.message}`;
  keeper.tell("damage", sentence);
  void keeper.remove(item);
}

function runChanged(): void {
  const { error, id } = run;
  const item = keeper.items.find((kept) => kept.id === id);
  if (run.phase === "failed" && error && item && run.start === null && error.damaged) {
    run.reset();
    drop(item, new UserError(error.message));
  } else if (run.phase === "failed" && error?.setting) {
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

function download(file: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = "model.safetensors";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const newId = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;

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

function ask(event: BeforeUnloadEvent): void {
  event.preventDefault();
  event.returnValue = true;
}

function save(): void {
  if (keeper.keepsRuns && run.phase === "running") run.save();
}

byId("setup").addEventListener("submit", (event) => {
  event.preventDefault();
  if (run.phase === "running") {
    save();
    run.pause();
  } else if (run.phase === "paused") {
    run.resume();
  } else if (run.phase !== "opening") {
    void start();
  }
});
byId("reset").addEventListener("click", () => {
  // The button is about to be disabled: the keyboard goes on at Start.
  byId("go").focus();
  run.reset();
  keeper.end();
  void keeper.look();
});
byId("go-on").addEventListener("click", () => {
  const item = offered();
  byId("go").focus(); // the button goes
  if (item) void goOn(item);
});
byId("download").addEventListener("click", () => {
  if (run.model === null) return;
  download(run.model);
  keeper.downloaded(run.id);
  schedule();
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
  if (file) void openFile(file);
  input.value = ""; // the same file may be chosen again
});
byId("device-choice").addEventListener("change", settingsChanged);
listenForDrops(
  () => !run.active,
  (file) => void (/\.safetensors$/i.test(file.name) ? openFile(file) : text.open(file)),
);
setInterval(save, SAVE_MS);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") return void keeper.look();
  keeper.flush();
  save();
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
if (newest?.kind === "model") await open(newest);
next.noWebGpu = await whyNoWebGpu();
schedule();
