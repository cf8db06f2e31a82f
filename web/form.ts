// The form of the settings, made from the table of src/config/settings.ts.

import { type Config, type ConfigChoice, resolveConfig, unsaidIn } from "../src/config.ts";
import { conflicts } from "../src/config/conflicts.ts";
import { offered, type Setting } from "../src/config/setting.ts";
import { listed } from "../src/config/settings.ts";
import { describeRange, parseSetting } from "../src/config/values.ts";
import { ConfigError } from "../src/errors.ts";
import { isPreset, presets } from "../src/presets.ts";

/** Of no use here. */
const hidden = new Set<keyof Config>([
  // The page shows every step, saves none, and looks at what the model writes whenever there is time.
  "log_every",
  "save_every",
  "save_seconds",
  "sample_every",
  // It starts from no model.
  "lora_rank",
  "lora_alpha",
  "lora_targets",
]);

interface Field {
  setting: Setting;
  input: HTMLInputElement | HTMLSelectElement;
  error: HTMLElement;
}

export class SettingsForm {
  private readonly preset: HTMLSelectElement;
  private readonly fields = new Map<string, Field>();
  private readonly more: HTMLDetailsElement;

  /**
   * @param list where the common settings go; the others go into `more`, under the titles of their groups
   * @param placed fields of settings that have a place of their own on the page
   * @param changed called when a value was changed by the user
   */
  constructor(
    preset: HTMLSelectElement,
    list: HTMLElement,
    more: HTMLDetailsElement,
    placed: Partial<Record<keyof Config, Pick<Field, "input" | "error">>>,
    changed: () => void,
  ) {
    this.preset = preset;
    this.more = more;
    preset.append(...Object.keys(presets).map((name) => new Option(name)));
    for (const [title, settings] of listed()) {
      const shown = settings.filter(({ name }) => !hidden.has(name));
      const own = shown.filter(({ name }) => placed[name] === undefined);
      if (own.length > 0 && !own[0].common) more.append(element("h3", "group", title));
      for (const setting of shown) {
        const place = placed[setting.name];
        const field = place ? { setting, ...place } : createField(setting);
        this.fields.set(setting.name, field);
        const { input } = field;
        if (!place) (setting.common ? list : more).append(input.closest(".field")!);
        input.addEventListener("change", () => {
          this.read();
          changed();
        });
      }
    }
    preset.addEventListener("change", () => {
      this.fill(preset.value);
      changed();
    });
    this.fill(preset.value);
  }

  /** The settings as they stand; null where some are wrong, and then each says so beside its field. */
  read(): ConfigChoice | null {
    const values: Partial<ConfigChoice> = {};
    const errors: ConfigError[] = [];
    for (const { setting, input } of this.fields.values()) {
      this.showError(setting.name, "");
      try {
        Object.assign(values, { [setting.name]: parseSetting(setting, read(input), setting.name) });
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        errors.push(error);
      }
    }
    errors.push(...conflicts(values));
    for (const { setting, message } of errors) this.showError(setting, message);
    return errors.length > 0 ? null : resolveConfig(this.preset.value, values);
  }

  /** Shows `message` beside a setting's field, if it has one. */
  showError(name: string, message: string): void {
    const field = this.fields.get(name);
    if (!field) return;
    field.error.textContent = message;
    if (message) field.input.setAttribute("aria-invalid", "true");
    else field.input.removeAttribute("aria-invalid");
  }

  /** Makes a field visible that may be under "More settings". */
  reveal(field: HTMLElement): void {
    if (this.more.contains(field)) this.more.open = true;
  }

  /** What is written in the fields, right or wrong. */
  values(): { preset: string; values: Record<string, string> } {
    const entries = [...this.fields.values()].map(({ setting, input }) => [
      setting.name,
      read(input),
    ]);
    return { preset: this.preset.value, values: Object.fromEntries(entries) };
  }

  /** Writes kept values into the fields; those of a preset or setting that is no more, are left out. */
  restore(preset: string, values: Record<string, string>): void {
    if (!isPreset(preset)) return;
    this.preset.value = preset;
    this.fill(preset);
    for (const { setting, input } of this.fields.values()) {
      const value = values[setting.name];
      if (value === undefined || !isOption(input, value)) continue;
      write(input, value);
    }
  }

  private fill(preset: string): void {
    if (!isPreset(preset)) return;
    const config = { ...presets[preset], ...unsaidIn(preset) };
    for (const { setting, input } of this.fields.values()) {
      write(input, String(config[setting.name]));
      this.showError(setting.name, "");
    }
  }
}

function read(input: Field["input"]): string {
  return input.type === "checkbox" ? String((input as HTMLInputElement).checked) : input.value;
}

function write(input: Field["input"], value: string): void {
  if (input.type === "checkbox") (input as HTMLInputElement).checked = value === "true";
  else input.value = value;
}

function isOption(input: Field["input"], value: string): boolean {
  return input instanceof HTMLInputElement || [...input.options].some((o) => o.value === value);
}

/** A row: name and help, the control, and room for an error. */
function createField(setting: Setting): Field {
  const { name, kind, help } = setting;
  const id = `setting-${name}`;
  const input = document.createElement(kind === "choice" ? "select" : "input");
  if (input instanceof HTMLSelectElement) {
    input.append(...offered(setting).map((choice) => new Option(choice)));
  } else if (kind === "boolean") {
    input.type = "checkbox";
  } else {
    // Text, not number: what was typed reaches parseSetting as it is, and its message can quote it.
    input.inputMode =
      setting.auto || kind === "string" ? "text" : kind === "integer" ? "numeric" : "decimal";
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
