// One class for each way a user's input, device or run can fail. Every message is a whole
// sentence: what happened, what was got, what is needed, what to do about it.

/** Base of every error that is the user's to mend: its message is shown without a stack trace. */
export class UserError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

/** A setting has a value it cannot have. */
export class ConfigError extends UserError {
  /** Name of the setting, as in Config. */
  readonly setting: string;
  constructor(setting: string, message: string) {
    super(message);
    this.setting = setting;
  }
}

/** The training text cannot be used. */
export class DataError extends UserError {}

/** A text holds a character that the tokenizer has no id for. */
export class UnknownCharacterError extends UserError {}

/** A conversation that no model, or not this one, can answer. */
export class ConversationError extends UserError {}

/** The files of a model folder are missing, damaged or do not belong together. */
export class ModelFileError extends UserError {}

/** There is no WebGPU device to be had. */
export class NoWebGpuError extends UserError {}

/** A tensor needs more than the device gives one buffer or binding. */
export class TensorTooLargeError extends UserError {}

/** The device stopped in the middle of a run, or refused a command. */
export class GpuError extends UserError {}

/** The loss or the gradient is no longer a number. */
export class DivergedError extends UserError {}
