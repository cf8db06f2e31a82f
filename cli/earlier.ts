// What an output folder holds before a new run begins there: nothing of it is lost.

import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { ModelFileError } from "../src/errors.ts";
import { ADAPTER_FILE, BASE_FILE } from "../src/files/adapter_files.ts";
import { describeRun, STATE_FILE } from "../src/files/checkpoint.ts";
import {
  BEST_FILE,
  CHAT_TEMPLATE_FILE,
  CONFIG_FILE,
  TOKENIZER_FILE,
  WEIGHTS_FILE,
} from "../src/files/model_files.ts";
import { decodeMetadata, headBytes } from "../src/files/safetensors.ts";
import { isObject, parseStrictJson } from "../src/strict_json.ts";
import { METRICS_FILE } from "./metrics.ts";
import { eventFilesIn } from "./tensorboard.ts";
import { modelFiles, readOptional } from "../src/files/model_dir.node.ts";
import { flushFolder } from "../src/files/replace_file.node.ts";
import { count } from "../src/count.ts";
import { isOutOfPatience } from "../src/training/validation.ts";

/** What a run writes of its steps. */
export function logsIn(folder: string): string[] {
  const metrics = existsSync(join(folder, METRICS_FILE)) ? [METRICS_FILE] : [];
  return [...metrics, ...eventFilesIn(folder)];
}

/** Every file there that a run writes, in the order in which they are moved aside. */
export function ownFilesIn(folder: string): string[] {
  return [...modelFiles.filter((name) => existsSync(join(folder, name))), ...logsIn(folder)];
}

/** So small that they are copied, and stay until the others are there too. */
const small: readonly string[] = [CONFIG_FILE, TOKENIZER_FILE, CHAT_TEMPLATE_FILE];

interface Contents {
  /** The files that a new run would replace. */
  files: string[];
  /** The run that can be resumed there, if it is one that has trained and is whole. */
  run?: ReturnType<typeof describeRun>;
  /** Whether there is more than the beginning of a run that has not trained yet. */
  valuable: boolean;
}

/** Whether some of the files that a run writes are there, and were written here: a model, or a run without one yet. */
export function isModelFolder(folder: string): boolean {
  return ownFilesIn(folder).length > 0 && isOwn(textsIn(folder));
}

/** The settings as each of the files has them that may have some, and the metadata of a run. */
function textsIn(folder: string) {
  const metadata = (name: string) => {
    try {
      const path = join(folder, name);
      const start = readOptional(path, 8);
      const head = start && readOptional(path, headBytes(start, Infinity, path));
      return head && decodeMetadata(head, path);
    } catch {
      return undefined; // damaged, or of another program
    }
  };
  const whole = [WEIGHTS_FILE, BEST_FILE, STATE_FILE, BASE_FILE, ADAPTER_FILE];
  const [model, best, state, base, adapters] = whole.map(metadata);
  const config = readOptional(join(folder, CONFIG_FILE), MAX_CONFIG);
  const configs = [
    model?.config,
    best?.config,
    state?.config,
    base?.config,
    adapters?.config,
    config && new TextDecoder().decode(config),
  ];
  return { configs, state };
}

/**
 * The names of what the model there has learnt from, without their folders; none where nobody knows.
 * Those of a private place are nobody's business where the model goes.
 */
export function textsOf(folder: string): string[] {
  const { state } = textsIn(folder);
  if (state === undefined) return [];
  try {
    const { input } = describeRun(state, join(folder, STATE_FILE));
    return (input ?? ["names.txt"]).filter((word) => word !== "-").map(publicName);
  } catch {
    return []; // damaged: the model may be whole all the same
  }
}

function publicName(input: string): string {
  if (!/^https?:/i.test(input)) return basename(input);
  const { origin, pathname } = new URL(input);
  return origin + pathname;
}

/** Bytes of a config.json that are looked at. */
const MAX_CONFIG = 2 ** 20;

function isOwn({ configs }: ReturnType<typeof textsIn>): boolean {
  return configs.some((text) => {
    try {
      const settings = text === undefined ? undefined : parseStrictJson(text);
      return isObject(settings) && Object.hasOwn(settings, "format_version");
    } catch {
      return false;
    }
  });
}

/** @throws ModelFileError if some of the files that a run writes are there, and are of another program */
export function examine(folder: string): Contents {
  const files = ownFilesIn(folder);
  if (files.length === 0) return { files, valuable: false };
  const texts = textsIn(folder);
  const { state } = texts;
  if (!isOwn(texts)) {
    throw new ModelFileError(
      `${folder} holds a ${files[0]} that this program did not write, or that is damaged; nothing of it is replaced. ` +
        `Choose another --output, or remove the file.`,
    );
  }
  const isModel = [WEIGHTS_FILE, ADAPTER_FILE].some((name) => files.includes(name));
  try {
    const run = state && describeRun(state, join(folder, STATE_FILE));
    return { files, run, valuable: isModel || run?.step !== 0 };
  } catch {
    return { files, valuable: true };
  }
}

/** @throws ModelFileError if a run is there that is not finished, and has trained */
export function refuseUnfinished(folder: string): void {
  const { run } = examine(folder);
  if (run === undefined || run.step === 0) return;
  const { config, step, input, validated, best } = run;
  if ((step >= config.num_steps && validated) || isOutOfPatience(config, best)) return;
  const text = input === null ? "" : ` on ${input.map(wordFor).join(", ")}`;
  throw new ModelFileError(
    `${folder} holds a run that is not finished: ${count(step)} of ${count(config.num_steps)} steps${text}. Go on ` +
      `with it by --resume, replace it by --overwrite, or choose another --output.`,
  );
}

function wordFor(input: string): string {
  return input === "-" ? "standard input" : input;
}

/**
 * Moves what a new run would replace into a folder of its own there, so that at any moment either holds it whole.
 * @returns that folder; null where there was nothing to keep
 */
export function moveAside(folder: string): string | null {
  const { files, valuable } = examine(folder);
  if (!valuable) return null;
  const aside = makeNumbered(folder);
  const present = (names: readonly string[]) => names.filter((name) => files.includes(name));
  for (const name of present(small)) copyFileSync(join(folder, name), join(aside, name));
  for (const name of files) {
    if (!small.includes(name)) renameSync(join(folder, name), join(aside, name));
  }
  flushFolder(aside);
  for (const name of small) rmSync(join(folder, name), { force: true });
  flushFolder(folder);
  return aside;
}

/** earlier-1, or the first number that is not taken yet. */
function makeNumbered(folder: string): string {
  const taken = readdirSync(folder).map((name) => Number(/^earlier-(\d+)$/.exec(name)?.[1] ?? 0));
  const path = join(folder, `earlier-${Math.max(0, ...taken) + 1}`);
  mkdirSync(path);
  return path;
}
