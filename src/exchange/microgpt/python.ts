// A model of microgpt's shape as a program in Python, and back.

import { isChat, isStream } from "../../choices.ts";
import { ModelFileError, UserError } from "../../errors.ts";
import type { ByteSource } from "../../files/byte_source.ts";
import { type Model, ModelFile } from "../../files/model_files.ts";
import { isObject, parseStrictJson } from "../../strict_json.ts";
import { MOST_BYTES } from "../folder.ts";
import type { Exported } from "../formats.ts";
import type { Imported } from "../imported.ts";
import { metaOf } from "./meta.ts";
import { MAIN, MODEL_BEGINS, MODEL_ENDS, PROGRAM } from "./python_source.ts";
import { weightsText } from "./rows.ts";
import { fromParts } from "./weights_json.ts";

/** @throws UserError if the model is none of microgpt's shape and characters, or one of conversations */
export function exportPython(model: Model): Exported {
  const { config } = model;
  const meta = metaOf(model, "python");
  if (isChat(config.format)) {
    throw new UserError(
      `The format python has no place for the model: it is one of conversations. Export it as weights-json or huggingface.`,
    );
  }
  const utf8 = new TextEncoder();
  const bytes = (text: string) => utf8.encode(text.replaceAll("'", "\\u0027"));
  const pieces = {
    *[Symbol.iterator]() {
      yield utf8.encode(PROGRAM + MODEL_BEGINS);
      yield bytes(`{"meta": ${JSON.stringify(meta)},\n"weights": `);
      for (const text of weightsText(model)) yield bytes(text);
      yield utf8.encode(`}${MODEL_ENDS}${MAIN}`);
    },
  };
  return { files: [new ModelFile("microgpt.py", pieces)], notes: notesOn(model) };
}

function notesOn({ config }: Model): string[] {
  const { top_k, top_p, min_p, repetition_penalty, max_tokens, block_size, dropout } = config;
  const isPlain = top_k === 0 && top_p === 1 && min_p === 0 && repetition_penalty === 1;
  const what = isStream(config.format) ? "A text" : "A document";
  return [
    ...(isPlain
      ? []
      : [
          `The program draws by temperature alone: top_k, top_p, min_p and repetition_penalty are left out.`,
        ]),
    ...(dropout > 0 ? [`The program trains without dropout.`] : []),
    ...(max_tokens > block_size
      ? [`${what} of the program has ${block_size} tokens at most, as many as the context.`]
      : []),
  ];
}

/** @throws ModelFileError if the file is none that was exported, or anything about its model is wrong */
export function importPython(file: ByteSource): Imported {
  const bad = (what: string) =>
    new ModelFileError(
      `${file.name} is no program that was exported here: ${what}. Only such a one is read; of another's weights make ` +
        `a file of JSON.`,
    );
  if (file.size > MOST_BYTES) throw bad(`it has ${file.size} bytes`);
  const text = new TextDecoder().decode(file.read(0, file.size)).replaceAll("\r\n", "\n");
  const begin = text.lastIndexOf(MODEL_BEGINS);
  const end = text.lastIndexOf(MODEL_ENDS);
  if (begin < 0 || end < begin) throw bad(`it has no MODEL = json.loads(r'''…''')`);
  let model: unknown;
  try {
    model = parseStrictJson(text.slice(begin + MODEL_BEGINS.length, end));
  } catch (error) {
    throw bad(`its model is not usable JSON (${(error as Error).message})`);
  }
  if (!isObject(model) || !isObject(model.meta) || !isObject(model.weights)) {
    throw bad(`its model has no "meta" and "weights"`);
  }
  return fromParts(model.meta, model.weights, file.name, file.name);
}
