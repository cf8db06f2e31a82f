// The page: reads the form, starts runs, and shows their state once a frame.

import { dimsOf, parameterCount } from "../src/model/parameters.ts";
import type { DeviceChoice } from "../src/device/choose.ts";
import { SettingsForm } from "./form.ts";
import { count } from "./format.ts";
import { Run } from "./run.ts";
import { whyNoWebGpu } from "./support.ts";
import { TextInput } from "./text.ts";
import { byId, type Preparation, View } from "./view.ts";

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
  textChanged,
);
const form = new SettingsForm(
  byId<HTMLSelectElement>("preset"),
  byId("fields"),
  byId<HTMLDetailsElement>("more"),
  settingsChanged,
);
const run = new Run(schedule);
const view = new View();
/** What a run would be with the form as it is. */
const next: Preparation = { num_steps: 1, vocab_size: 2, noWebGpu: null };

function textChanged(): void {
  const training = text.read(false);
  if (training) next.vocab_size = training.num_chars + 1;
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
  const parameters = config && parameterCount(dimsOf(config, next.vocab_size));
  byId("size").textContent = parameters ? `A model of ${count(parameters, "parameter")}.` : "";
  schedule();
}

function start(): void {
  const training = text.read(true);
  const config = form.read();
  if (training === null) {
    text.focus();
  } else if (config === null) {
    form.focusFirstError();
  } else {
    const device = new FormData(byId<HTMLFormElement>("setup")).get("device") as DeviceChoice;
    run.begin({ ...config, format: training.format }, training.documents, device);
  }
}

let scheduled = false;

/** Shows the state at the next frame, however often it changes until then. */
function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    view.show(run, next);
  });
}

byId("setup").addEventListener("submit", (event) => {
  event.preventDefault();
  if (run.phase === "running") run.pause();
  else if (run.phase === "paused") run.resume();
  else if (run.phase !== "opening") start();
});
byId("reset").addEventListener("click", () => {
  // The button is about to be disabled: the keyboard goes on at Start.
  byId("go").focus();
  run.reset();
});

textChanged();
next.noWebGpu = await whyNoWebGpu();
schedule();
