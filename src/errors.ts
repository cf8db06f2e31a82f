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

/** What a {@link RequestError} is about, for programs. */
export interface RequestProblem {
  /** Of HTTP; 400 where absent. */
  status?: number;
  /** The kind of error; `invalid_request_error` where absent. */
  type?: string;
  /** The field that is wrong, as `messages[2].role`. */
  param?: string | null;
  code?: string | null;
}

/** A request of the OpenAI interface that cannot be answered. */
export class RequestError extends UserError {
  /** Of HTTP. */
  readonly status: number;
  readonly type: string;
  /** The field that is wrong, as `messages[2].role`. */
  readonly param: string | null;
  readonly code: string | null;

  constructor(message: string, problem: RequestProblem = {}) {
    super(message);
    const { status = 400, type = "invalid_request_error", param = null, code = null } = problem;
    this.status = status;
    this.type = type;
    this.param = param;
    this.code = code;
  }

  /** What the interface answers with. */
  toJSON(): {
    error: { message: string; type: string; param: string | null; code: string | null };
  } {
    const { message, type, param, code } = this;
    return { error: { message, type, param, code } };
  }
}
