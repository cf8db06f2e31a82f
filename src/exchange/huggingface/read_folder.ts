// A model from a Hugging Face folder: Llama's or Qwen3's, or one of our other shapes that was exported into it.

import { ModelFileError } from "../../errors.ts";
import { checkFinite, CONFIG_FILE, TOKENIZER_FILE } from "../../files/model_files.ts";
import { dimsOf, ParameterLayout } from "../../model/parameters.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { type ForeignFolder, GET_AGAIN, type Json, jsonOf } from "../folder.ts";
import {
  aboutBos,
  configOf,
  readOwn,
  fitTokenizer,
  type Imported,
  type Own,
  type ReadProgress,
  resolved,
  tokenizerSettings,
} from "../imported.ts";
import { gatherParameters, llamaTensors } from "../llama_tensors.ts";
import { CUSTOM, customTensors } from "./config_json.ts";
import { readForeignConfig, refused } from "./read_config.ts";
import { readTensor, type StoredTensor, tensorsIn } from "./read_weights.ts";
import { readTokenizerJson } from "./tokenizer_files.ts";

/** @throws ModelFileError if the model cannot be had here, or anything about the files is wrong */
export function importHuggingFace(folder: ForeignFolder, progress?: ReadProgress): Imported {
  const source = `${folder.path}/${CONFIG_FILE}`;
  const file = jsonOf(folder, CONFIG_FILE, "which should say what the model is");
  const own = ownIn(file, source);
  const isCustom = file.model_type === CUSTOM;
  if (isCustom && own === undefined)
    throw refused(source, `has no "${CUSTOM}" that says what the model is`);
  const foreign = isCustom ? undefined : readForeignConfig(file, source);
  const vocab_size = foreign?.vocab_size ?? own!.vocab_size;
  const fitted = fitTokenizer(tokenizerIn(folder), vocab_size, source);
  const { tokenizer } = fitted;
  const notes: string[] = [...fitted.notes];
  if (foreign !== undefined) notes.push(...aboutBos(tokenizer, foreign.bos));
  const { config, step } = foreign
    ? configOf(foreign.shape, tokenizer, own, source)
    : ownConfig(own!, tokenizer, source);

  const tensors = tensorsIn(folder);
  if (config.n_layer > tensors.size) {
    throw refused(
      source,
      `says that there are ${config.n_layer} layers, and there are ${tensors.size} tensors`,
    );
  }
  const layout = new ParameterLayout(dimsOf(config, vocab_size));
  const wanted = foreign ? llamaTensors(layout) : customTensors(layout);
  if (foreign?.shape.tie_embeddings) dropTied(tensors);
  for (const name of tensors.keys()) if (isTable.test(name)) tensors.delete(name);
  let done = 0;
  const values = gatherParameters(layout, tensors, wanted, folder.path, (tensor, into, name) => {
    readTensor(tensor, into);
    checkFinite(into, name, tensor.file.name, Infinity, GET_AGAIN);
    progress?.(++done, wanted.length);
  });
  return { model: { config, tokenizer, step, layout, values }, notes };
}

/** Angles of rope that files of before 2024 hold, and that rope_theta tells. */
const isTable = /\.rotary_emb\.inv_freq$/;

const [EMBEDDING, HEAD] = ["model.embed_tokens.weight", "lm_head.weight"];

/**
 * Of tied weights one will do, if both are there and the same.
 * @throws ModelFileError if they are not
 */
function dropTied(tensors: Map<string, StoredTensor>): void {
  const [embedding, head] = [EMBEDDING, HEAD].map((name) => tensors.get(name));
  if (embedding === undefined || head === undefined) return;
  const bytes = [embedding, head].map(({ file, begin, end }) => file.read(begin, end));
  if (embedding.dtype !== head.dtype || bytes[0].some((byte, i) => byte !== bytes[1][i])) {
    throw new ModelFileError(
      `${head.file.name} has another ${HEAD} than ${EMBEDDING}, though tie_word_embeddings says that they are one. ` +
        `Get the files of one model.`,
    );
  }
  tensors.delete(HEAD);
}

/** Our settings, which a model has that was exported here. */
function ownIn(file: Json, source: string) {
  const own = file[CUSTOM];
  return own === undefined ? undefined : readOwn(own, `the ${CUSTOM} in ${source}`);
}

function ownConfig({ config, step }: Own, tokenizer: Tokenizer, source: string): Own {
  return { config: resolved({ ...config, ...tokenizerSettings(config, tokenizer) }, source), step };
}

function tokenizerIn(folder: ForeignFolder): Tokenizer {
  const older = ["tokenizer.model", "vocab.json"].find((name) => folder.open(name));
  const why = older
    ? `and its ${older} is of a format that is not read here; transformers writes the other: ` +
      `AutoTokenizer.from_pretrained(folder).save_pretrained(folder)`
    : `which should hold its tokens`;
  const file = jsonOf(folder, TOKENIZER_FILE, why);
  try {
    return readTokenizerJson(file);
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    throw new ModelFileError(`${folder.path}/${TOKENIZER_FILE}: ${error.message}`);
  }
}
