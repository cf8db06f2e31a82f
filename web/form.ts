// The form of the settings, made from the table of src/config.ts.

import {
  type Config,
  type ConfigChoice,
  describeRange,
  parseSetting,
  resolveConfig,
  type Setting,
  settings,
  unsaid,
} from "../src/config.ts";
import { ConfigError } from "../src/errors.ts";
import { type PresetName, presets } from "../src/presets.ts";

/** Settings that everyone sees; the others are under "More settings". */
const essential = new Set<keyof Config>([
  "format",
  "n_layer",
  "n_embd",
  "n_head",
  "block_size",
  "batch_size",
  "num_steps",
  "learning_rate",
  "temperature",
  "seed",
]);
/** The page shows every step, and saves none. */
const hidden = new Set<keyof Config>(["log_every", "save_every", "save_seconds"]);

interface Field {
  setting: Setting;
  input: HTMLInputElement | HTMLSelectElement;
  error: HTMLElement;
}

export class SettingsForm {
  private readonly preset: HTMLSelectElement;
  private readonly fields = new Map<string, Field>();
  private readonly more: HTMLDetailsElement;

  /** @param changed called when a value was changed by the user */
  constructor(
    preset: HTMLSelectElement,
    list: HTMLElement,
    more: HTMLDetailsElement,
    changed: () => void,
  ) {
    this.preset = preset;
    this.more = more;
    preset.append(...Object.keys(presets).map((name) => new Option(name)));
    for (const setting of settings) {
      if (hidden.has(setting.name)) continue;
      const field = createField(setting);
      this.fields.set(setting.name, field);
      (essential.has(setting.name) ? list : more).append(field.input.closest(".field")!);
      field.input.addEventListener("change", () => {
        this.read();
        changed();
      });
    }
    preset.addEventListener("change", () => {
      this.fill(presets[preset.value as PresetName]);
      changed();
    });
    this.fill(presets[preset.value as PresetName]);
  }

  /** The settings as they stand; null where some are wrong, and then each says so beside its field. */
  read(): ConfigChoice | null {
    const values: Partial<ConfigChoice> = {};
    let good = true;
    for (const { setting, input } of this.fields.values()) {
      this.showError(setting.name, "");
      try {
        const text =
          input.type === "checkbox" ? String((input as HTMLInputElement).checked) : input.value;
        Object.assign(values, { [setting.name]: parseSetting(setting, text, setting.name) });
      } catch (error) {
        good = false;
        this.takeError(error);
      }
    }
    if (!good) return null;
    try {
      return resolveConfig(this.preset.value, values);
    } catch (error) {
      this.takeError(error);
      return null;
    }
  }

  /** Shows `message` beside a setting's field; false if it has none. */
  showError(name: string, message: string): boolean {
    const field = this.fields.get(name);
    if (!field) return false;
    field.error.textContent = message;
    if (message) field.input.setAttribute("aria-invalid", "true");
    else field.input.removeAttribute("aria-invalid");
    return true;
  }

  focusFirstError(): void {
    for (const { input } of this.fields.values()) {
      if (!input.hasAttribute("aria-invalid")) continue;
      if (this.more.contains(input)) this.more.open = true;
      input.focus();
      return;
    }
  }

  private takeError(error: unknown): void {
    if (!(error instanceof ConfigError) || !this.showError(error.setting, error.message))
      throw error;
  }

  private fill(preset: Config): void {
    const config = { ...preset, ...unsaid };
    for (const { setting, input } of this.fields.values()) {
      const value = config[setting.name];
      if (input.type === "checkbox") (input as HTMLInputElement).checked = value === true;
      else input.value = String(value);
      this.showError(setting.name, "");
    }
  }
}

/** A row: name and help, the control, and room for an error. */
function createField(setting: Setting): Field {
  const { name, kind, choices, help } = setting;
  const id = `setting-${name}`;
  const input = document.createElement(kind === "choice" ? "select" : "input");
  if (input instanceof HTMLSelectElement) {
    input.append(...choices!.map((choice) => new Option(choice)));
  } else if (kind === "boolean") {
    input.type = "checkbox";
  } else {
    // Text, not number: what was typed reaches parseSetting as it is, and its message can quote it.
    input.inputMode = kind === "integer" ? "numeric" : "decimal";
    input.autocomplete = "off";
    input.spellcheck = false;
  }
  input.id = id;
  input.name = name;
  input.title = `${name} is ${describeRange(setting)}.`;
  input.setAttribute("aria-describedby", `${id}-help ${id}-error`);

  const label = element("label", "field-name", name);
  label.setAttribute("for", id);
  const hint = element("span", "field-help", help);
  hint.id = `${id}-help`;
  const error = element("p", "field-error");
  error.id = `${id}-error`;
  const row = element("div", "field");
  row.append(label, hint, input, error);
  return { setting, input, error };
}

function element(tag: string, className: string, text = ""): HTMLElement {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}
