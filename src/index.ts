/**
 * Trains GPTs in WebGPU compute shaders, and writes with them: the same in Node and in a browser.
 *
 * ```ts
 * import { load, save, train } from "microgpt-webgpu";
 *
 * const training = await train(["ada", "grace", "alan"], { num_steps: 500 });
 * for await (const { step, loss } of training.steps()) console.log(step, loss);
 * const model = await training.model();
 * training.close();
 *
 * await save(model, "output");
 * const writer = await load("output");
 * for await (const { text } of writer.generate({ prompt: "a" })) console.log(text);
 * await writer.close();
 * ```
 *
 * What goes wrong for a reason that is the caller's to mend is a {@link UserError}, with a sentence that says what
 * was got and what is needed.
 * @module
 */

import { loadCheckpoint as loadRun, saveCheckpoint, saveModel } from "#model_dir";
import {
  checkSettingNames,
  type ConfigChoice,
  heldOutIn,
  resolveConfig,
  wholeStep,
} from "./config.ts";
import type { DeviceChoice } from "./device/choose.ts";
import { ConfigError, DataError } from "./errors.ts";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "./files/checkpoint.ts";
import { encodeModel, type Model } from "./files/model_files.ts";
import type { AnswerEvent, AnswerPieceEvent } from "./generation/answer.ts";
import { Generator } from "./generation/from_model.ts";
import type { SampleEvent } from "./generation/generate.ts";
import { type Bytes, toArray } from "./library/bytes.ts";
import {
  answering,
  type ChatOptions,
  checkChoice,
  checkDevice,
  checkedSampling,
  type GenerateOptions,
  writing,
} from "./library/options.ts";
import type { Conversation } from "./text/conversation.ts";
import type { TextSource } from "./text/read_corpus.ts";
import { tokenizerFromJSON } from "./tokenizer/file.ts";
import type { TokenizerFile } from "./tokenizer/tokenizer.ts";
import { initialConfig } from "./training/init_from.ts";
import { resumedConfig } from "./training/resume.ts";
import { Training } from "./training/train.ts";
import { type TuningMode, tuningModes } from "./tuning/tune.ts";

export { exportModel, importModel } from "./library/exchange.ts";
export type { ExportedModel, ImportedModel, ModelFormat } from "./library/exchange.ts";
export { load } from "./library/load.ts";
export type { LoadOptions, ModelSource } from "./library/load.ts";
export type { LoadedModel } from "./library/loaded_model.ts";
export type { WorkerLike } from "./library/messages.ts";
export type { Bytes } from "./library/bytes.ts";
export type { ChatOptions, GenerateOptions } from "./library/options.ts";
export type { ChatCompletions, Completions, CreateOptions, Writer } from "./library/writer.ts";
export type {
  Answered,
  AssistantMessage,
  ChatCompletion,
  ChatCompletionChoice,
  ChatCompletionChunk,
  ChatCompletionChunkChoice,
  ChatLogprob,
  ChatLogprobs,
  ChatTokenLogprob,
  Completion,
  CompletionChoice,
  CompletionChunk,
  CompletionChunkChoice,
  CompletionLogprobs,
  Usage,
} from "./api/objects.ts";
export type {
  ChatCompletionRequest,
  ChatMessage,
  CompletionRequest,
  DrawingRequest,
  StreamOptions,
  TextPart,
} from "./api/requests.ts";
export { settings } from "./config/settings.ts";
export { presets } from "./presets.ts";
export type { Config, ConfigChoice } from "./config.ts";
export type { Setting } from "./config/setting.ts";
export type { DeviceChoice } from "./device/choose.ts";
export * from "./errors.ts";
export type { Best, Checkpoint, Circumstances, TrainerState } from "./files/checkpoint.ts";
export type { Model } from "./files/model_files.ts";
export type { AnswerEvent, AnswerPieceEvent } from "./generation/answer.ts";
export type { DrawnToken, DrawOptions, FinishReason, TokenLogprob } from "./generation/draw.ts";
export type { AnsweringOptions, SamplingOptions } from "./generation/from_model.ts";
export type { PieceEvent, SampleEvent, Sampling } from "./generation/generate.ts";
export type { Adapters } from "./model/adapters.ts";
export type { Dims, ParameterLayout, Shape, Slice } from "./model/parameters.ts";
export type { Conversation, Turn } from "./text/conversation.ts";
export type { Cut, Tokenizer, TokenizerFile } from "./tokenizer/tokenizer.ts";
export type {
  EvalEvent,
  LookEvent,
  RunEvent,
  SaveEvent,
  StartEvent,
  StepEvent,
  StopEvent,
  Training,
  WriteOptions,
} from "./training/train.ts";
export type { StepRecord } from "./training/trainer.ts";
export type { TuningMode, TuningSummary } from "./tuning/tune.ts";

/** What a run is made of, all of it optional: settings by their names, and these few that are no settings. */
export interface TrainOptions extends Partial<Omit<ConfigChoice, "tokenizer">> {
  /** One of those that are known by name, or what a tokenizer.json holds, parsed. */
  tokenizer?: Exclude<ConfigChoice["tokenizer"], "file"> | TokenizerFile;
  /** Name of the {@link presets | preset} whose settings stand where none is given; `microgpt` where absent. */
  preset?: string;
  /** `auto` where absent: WebGPU, or the CPU where there is none, and `start.fallback` says why. */
  device?: DeviceChoice;
  /** How the kernels of products are chosen; `auto` where absent. */
  tuning?: TuningMode;
  /** What the run's own texts begin with, those of sample_every too. */
  prompt?: string;
  /** A run to go on with; of the settings only those may differ that leave it the same run. */
  resume?: Checkpoint;
  /**
   * A model to start from: its weights, tokenizer and shape, and where no preset is named its rates and batches too. A
   * setting that contradicts its shape is refused.
   */
  initFrom?: Model;
}

/**
 * Readies a run: `run()` of what it gives trains, `model()` is what has been learnt, `close()` gives the device back.
 * @param text a list of documents; or one text, of which `format` says what it is
 * @throws ConfigError if an option is unknown or has a value that it cannot have
 * @throws ModelFileError if a tokenizer is given that cannot be used
 * @throws DataError if there is nothing to train on, or the text is too short for the settings
 * @throws NoWebGpuError if `device` is `webgpu` and there is none
 * @throws TensorTooLargeError if the model fits neither device nor memory, before anything is allocated
 */
export async function train(
  text: string | readonly string[],
  options: TrainOptions = {},
): Promise<Training> {
  const {
    preset = "microgpt",
    device = "auto",
    tuning: mode = "auto",
    resume,
    initFrom,
    prompt,
    tokenizer,
    ...settings
  } = options;
  const isFile = typeof tokenizer === "object";
  const given: Partial<ConfigChoice> =
    tokenizer === undefined ? settings : { ...settings, tokenizer: isFile ? "file" : tokenizer };
  const others = ["preset", "device", "tuning", "resume", "initFrom", "prompt"];
  checkSettingNames("option", given, others);
  checkDevice(device);
  checkChoice("tuning", mode, tuningModes);
  if (resume && initFrom) {
    throw new ConfigError(
      "initFrom",
      "initFrom begins a new run from a model, and resume goes on with a run; give one of them.",
    );
  }
  const config = resume
    ? resumedConfig(resume, { ...given, ...wholeStep(preset, given) })
    : initFrom
      ? initialConfig(initFrom, given, {}, options.preset)
      : resolveConfig(preset, { ...heldOutIn(preset), ...given });
  return Training.open({
    config,
    documents: documentsIn(text),
    tokenizer: isFile ? tokenizerFromJSON(tokenizer) : undefined,
    device,
    tuning: { mode },
    resume,
    initFrom,
    prompt,
  });
}

function documentsIn(text: unknown): TextSource {
  if (typeof text === "string") return text;
  if (Array.isArray(text) && text.every((document) => typeof document === "string")) return text;
  throw new DataError(
    "The text to train on must be a string, or a list of strings, its documents.",
  );
}

/**
 * Writes texts with a model, the same ones for the same seed.
 * @throws ConfigError if an option is unknown or has a value that it cannot have
 * @throws UnknownCharacterError if the prompt has a character that the model has never seen
 * @throws NoWebGpuError if `device` is `webgpu` and there is none
 */
export async function* generate(
  model: Model,
  options: GenerateOptions = {},
): AsyncGenerator<SampleEvent> {
  const { device = "auto", ...given } = options;
  const sampling = checkedSampling(model, given, [...writing, "device"]);
  checkDevice(device);
  const generator = await Generator.open(model, device);
  try {
    yield* generator.samples(sampling);
  } finally {
    generator.close();
  }
}

/**
 * Answers a conversation with a model that was trained on some, piece by piece as it is drawn; the last event is the
 * whole answer, a message that the conversation can go on with. The oldest messages that the context has no room for are
 * left out; the event says how many.
 * @param messages in their order, the user's at the end
 * @throws ConfigError if an option is unknown or has a value that it cannot have
 * @throws ConversationError if the model is none of conversations, or a message is none that it can answer
 * @throws UnknownCharacterError if a message has a character that the model has never seen
 * @throws NoWebGpuError if `device` is `webgpu` and there is none
 */
export async function* chat(
  model: Model,
  messages: Conversation,
  options: ChatOptions = {},
): AsyncGenerator<AnswerPieceEvent | AnswerEvent> {
  const { device = "auto", ...given } = options;
  const sampling = checkedSampling(model, given, [...answering, "device"]);
  checkDevice(device);
  const generator = await Generator.open(model, device);
  try {
    yield* generator.answer(messages, sampling);
  } finally {
    generator.close();
  }
}

/**
 * A saved run, for `resume`.
 * @param from the folder where it lies, in Node; or the bytes of its training.safetensors
 * @throws ModelFileError if there is no run that can be resumed
 */
export async function loadCheckpoint(from: string | Bytes): Promise<Checkpoint> {
  return typeof from === "string"
    ? loadRun(from)
    : decodeCheckpoint(await toArray(from), "the bytes");
}

/**
 * Saves a model, or a run and its model, in a folder, which is made if need be. Node only: in a browser, see
 * {@link toBytes}. A crash at any moment leaves what was there before, or what is saved now.
 * @throws ModelFileError if the disk refuses it or a number is not finite
 */
export async function save(what: Model | Checkpoint, folder: string): Promise<void> {
  if (isCheckpoint(what)) saveCheckpoint(folder, what);
  else saveModel(folder, what);
}

/**
 * A model as the bytes of model.safetensors, or a run as those of training.safetensors: each is whole by itself, but a
 * run of adapters, which needs its folder's frozen weights besides.
 * @throws ModelFileError if a number is not finite
 */
export function toBytes(what: Model | Checkpoint): Uint8Array<ArrayBuffer> {
  return isCheckpoint(what) ? encodeCheckpoint(what).bytes : encodeModel(what)[0].bytes;
}

function isCheckpoint(what: Model | Checkpoint): what is Checkpoint {
  return "m" in what;
}
