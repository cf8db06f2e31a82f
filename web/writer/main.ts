// The page that a model is exported as: writes on any prompt, or talks, with the engine that trained it.

import "./writer.css";
import { isChat } from "../../src/choices.ts";
import { settings } from "../../src/config/settings.ts";
import { parseSetting } from "../../src/config/values.ts";
import { count, plural } from "../../src/count.ts";
import { chooseDevice, type DeviceChoice } from "../../src/device/choose.ts";
import { ConfigError, UserError } from "../../src/errors.ts";
import type { Model } from "../../src/files/model_files.ts";
import { Generator } from "../../src/generation/from_model.ts";
import { parameterCount } from "../../src/model/parameters.ts";
import { estimate, writingWork } from "../../src/model/work.ts";
import type { HeldModel } from "../../src/exchange/html.ts";
import { byId, write } from "../dom.ts";
import { heldModel } from "./held.ts";
import { Talk } from "./talk.ts";
import { Texts } from "./texts.ts";

/** What does what is asked for, and shows it. */
export interface Author {
  /** @throws UserError where something else has to be asked for */
  write(generator: Generator, prompt: string, options: Options): Promise<void>;
  clear(): void;
}

const names = ["temperature", "top_k", "max_tokens", "num_samples", "seed"] as const;
export type Options = Record<(typeof names)[number], number> & { signal: AbortSignal };

const input = (id: string) => byId<HTMLInputElement>(id);
const buttons = { write: input("write"), stop: input("stop"), clear: input("clear") };

async function start(): Promise<void> {
  const { model, about } = await heldModel();
  const { config } = model;
  write("about", described(model, about));
  for (const name of names) input(name).value = String(config[name]);
  const talks = isChat(config.format);
  const author: Author = talks ? new Talk() : new Texts();
  if (talks) {
    write("title", "A model that answers");
    write("prompt-label", "Say");
    write("write", "Send");
    write("prompt-hint", "Enter sends, Shift and Enter begin a line.");
    input("num_samples").parentElement!.hidden = true;
  } else {
    input("num_samples").value = "1";
    write("prompt-hint", "May stay empty. Ctrl and Enter write.");
  }
  const open = opener(model);
  let stop: AbortController | undefined;

  async function ask(): Promise<void> {
    if (stop) return;
    stop = new AbortController();
    setBusy(true);
    try {
      const options = { ...readOptions(), signal: stop.signal };
      const generator = await open(input("device").value as DeviceChoice);
      const prompt = input("prompt").value;
      if (!talks) write("note", generator.notes({ ...options, prompt }).join(" "));
      const began = performance.now();
      await author.write(generator, prompt, options);
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      write("status", stop.signal.aborted ? "Stopped." : `Done, in ${seconds} s.`);
      if (talks) input("prompt").value = "";
    } catch (error) {
      tell(error);
    } finally {
      stop = undefined;
      setBusy(false);
    }
  }

  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    void ask();
  });
  byId("prompt").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    if (!talks && !event.ctrlKey && !event.metaKey) return; // of a text, lines may be the beginning
    event.preventDefault();
    void ask();
  });
  buttons.stop.addEventListener("click", () => stop?.abort());
  buttons.clear.addEventListener("click", () => {
    author.clear();
    write("note", "");
    write("status", "");
    byId("prompt").focus();
  });
  write("status", "");
  setBusy(false);
}

function setBusy(busy: boolean): void {
  buttons.write.disabled = busy;
  buttons.stop.disabled = !busy;
  buttons.clear.disabled = busy;
  if (!busy) return;
  write("alert", "");
  for (const name of names) input(name).removeAttribute("aria-invalid");
  write("status", "Writing…");
}

/** A sentence to mend it by; what is no user's mistake is told too, for nobody looks into the console. */
function tell(error: unknown): void {
  write("status", "");
  write("alert", error instanceof UserError ? error.message : `The page failed: ${String(error)}`);
  if (error instanceof ConfigError) byId(error.setting)?.setAttribute("aria-invalid", "true");
  if (!(error instanceof UserError)) throw error;
}

/** @throws ConfigError naming the first one that cannot be */
function readOptions(): Omit<Options, "signal"> {
  const read = names.map((name) => {
    const setting = settings.find((each) => each.name === name)!;
    return [name, parseSetting(setting, input(name).value, label(name))];
  });
  return Object.fromEntries(read);
}

function label(name: string): string {
  return document.querySelector(`label[for=${name}]`)!.textContent;
}

/** Opens the model on a device, once. */
function opener(model: Model): (choice: DeviceChoice) => Promise<Generator> {
  let opened: { choice: DeviceChoice; generator: Generator } | undefined;
  return async (choice) => {
    if (opened?.choice === choice) return opened.generator;
    opened?.generator.close();
    opened = undefined;
    write("status", "Readying the device…");
    const { block_size } = model.config;
    const work = writingWork(model.layout.dims, 1, block_size);
    const { device, fallback, device_reason } = await chooseDevice(choice, estimate([work]));
    const generator = await Generator.open(model, device ? "webgpu" : "cpu", ({ done, total }) =>
      write("status", `Compiling kernel ${done} of ${total}…`),
    );
    const why = fallback ?? device_reason;
    const gpu = device && (/^WebGPU\b/.test(device.name) ? device.name : `WebGPU (${device.name})`);
    const name = gpu ?? "the CPU, in float64";
    write(
      "device-name",
      ` It runs on ${name}${why === null ? "" : `: ${why.replace(/\.$/, "")}`}.`,
    );
    opened = { choice, generator };
    write("status", "Writing…");
    return generator;
  };
}

/** What the model is. */
function described({ config, layout, step }: Model, { trained_on, half }: HeldModel): string {
  const { dims } = layout;
  const sizes = [
    plural(dims.L, "layer"),
    plural(dims.C, "channel"),
    plural(dims.NH, "head"),
    `context ${count(dims.T)}`,
    `${plural(dims.V, "token")} in the vocabulary`,
  ];
  const on = trained_on.length > 0 ? ` on ${trained_on.join(", ")}` : "";
  return (
    `${plural(parameterCount(dims), "parameter")}: ${sizes.join(", ")}; trained ${plural(step, "step")}${on}` +
    `${half ? "; its weights are kept in half precision" : ""}. ` +
    `${isChat(config.format) ? "It answers" : "It writes"} in this page: nothing is fetched, and nothing leaves it.`
  );
}

start().catch(tell);
