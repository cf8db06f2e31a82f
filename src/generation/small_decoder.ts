// Writes texts with a model that one workgroup holds: all tokens of a text in one dispatch, and in the same one the texts
// that were asked for meanwhile.

import { reluOf } from "../choices.ts";
import type { ForwardConfig } from "../model/forward_config.ts";
import type { Device } from "../device/device.ts";
import { compile } from "../device/prepare.ts";
import { type Dispatch, Schedule } from "../device/schedule.ts";
import {
  allocateTensors,
  destroyTensors,
  placeholders,
  type Tensor,
  type TensorSpec,
  writeTensor,
} from "../device/tensors.ts";
import type { Dims } from "../model/parameters.ts";
import { NO_TEXT, packTexts, type SmallText, SQUARED, TEXT_FIELDS } from "../small/data.ts";
import { SmallLayout } from "../small/layout.ts";
import { type SampleBinding, smallSample, type SmallTuning } from "../small/ops.ts";
import type { Continuation, DecodedToken, Decoder } from "./decoder.ts";
import { GpuDecoder, type GpuDecoding } from "./gpu_decoder.ts";

const SLOTS = 16;

/** Of a logit that must not win, or must: no sum of such numbers is infinite in float32. */
const MOST = 1e30;
/** The largest number below 1. */
const BELOW_1 = 1 - 2 ** -24;

/** A text for the kernel, and who waits for it. */
interface Asked {
  text: SmallText;
  tokens: readonly number[];
  /** From that on which draws the first token. */
  numbers: readonly number[];
  /** (V, 2): what is added to a logit; 1 where it ends the text. */
  choices: Float32Array;
  logits: boolean;
}

/** T + 1 tokens, of which those behind the text's end mean nothing; and (T, V) logits, where they are wanted. */
interface Written {
  tokens: Float32Array;
  logits: Float32Array;
}

interface Waiting extends Asked {
  resolve(written: Written): void;
  reject(error: unknown): void;
}

/** What the GPU holds beside the parameters. */
function tableOf({ T, V }: Dims) {
  return [
    { name: "tokens", shape: [SLOTS, T + 1] },
    { name: "logits", shape: [SLOTS, T, V] },
    { name: "texts", shape: [SLOTS, TEXT_FIELDS] },
    { name: "numbers", shape: [SLOTS, T] },
    { name: "choices", shape: [SLOTS, V, 2] },
  ] as const satisfies TensorSpec[];
}

type Tensors = Record<Exclude<SampleBinding, "params">, Tensor>;

function dispatchOf(
  tensors: Record<SampleBinding, Tensor>,
  config: ForwardConfig,
  dims: Dims,
  tuning: SmallTuning,
): Dispatch {
  const { rmsnorm_eps: eps } = config;
  return smallSample(
    tensors,
    dims,
    { texts: SLOTS, squared: SQUARED[reluOf(config)], eps },
    tuning,
  );
}

/** What a small decoder dispatches, to be compiled before there is one. */
export function smallDecoding(config: ForwardConfig, dims: Dims, tuning: SmallTuning): Dispatch {
  const { size } = new SmallLayout(dims);
  const tensors = placeholders([{ name: "params", shape: [size] }, ...tableOf(dims)]);
  return dispatchOf(tensors as Record<SampleBinding, Tensor>, config, dims, tuning);
}

/** What decodes what the kernel cannot, see serves(); and what is freed with it. */
export interface General {
  get(): Promise<Decoder>;
  destroy(): void;
}

export class SmallDecoder implements Decoder {
  readonly num_slots = SLOTS;
  private readonly device: Device;
  private readonly dims: Dims;
  private readonly tensors: Tensors;
  private readonly schedule: Schedule;
  private readonly general: General;
  private readonly waiting: Waiting[] = [];
  private busy = false;

  private constructor(
    device: Device,
    dims: Dims,
    tensors: Tensors,
    schedule: Schedule,
    general: General,
  ) {
    this.device = device;
    this.dims = dims;
    this.tensors = tensors;
    this.schedule = schedule;
    this.general = general;
  }

  /** A decoder with weights of its own, given flat in the table's order without gaps. */
  static async fromValues(
    device: Device,
    config: ForwardConfig,
    dims: Dims,
    values: Float32Array | Float64Array,
    tuning: SmallTuning,
    decoding: GpuDecoding = {},
  ): Promise<SmallDecoder> {
    const list = [smallDecoding(config, dims, tuning)];
    await compile(device, list, { progress: decoding.progress });
    const layout = new SmallLayout(dims);
    const { params } = await allocateTensors(device, [{ name: "params", shape: [layout.size] }]);
    writeTensor(device, params, layout.pack(values, new Float32Array(layout.size)));
    let decoder: Promise<Decoder> | undefined; // made for the first text that needs it
    const general: General = {
      get: () => (decoder ??= GpuDecoder.fromValues(device, config, dims, values, decoding)),
      destroy() {
        params.buffer.destroy();
        decoder?.then(
          (made) => made.destroy(),
          () => {},
        );
      },
    };
    return SmallDecoder.create(device, config, dims, params, tuning, general);
  }

  /** @param params as SmallLayout has them; read in place, so it follows a training run */
  static async create(
    device: Device,
    config: ForwardConfig,
    dims: Dims,
    params: Tensor,
    tuning: SmallTuning,
    general: General,
  ): Promise<SmallDecoder> {
    const tensors = await allocateTensors(device, tableOf(dims));
    const schedule = await Schedule.create(device, [
      dispatchOf({ params, ...tensors }, config, dims, tuning),
    ]);
    return new SmallDecoder(device, dims, tensors, schedule, general);
  }

  async *decode(continuation: Continuation): AsyncGenerator<DecodedToken> {
    const { tokens, max_tokens, ends, never, temperature, random, signal, logits } = continuation;
    const { T, V } = this.dims;
    if (!serves(continuation, T)) {
      yield* (await this.general.get()).decode(continuation);
      return;
    }
    const choices = new Float32Array(2 * V);
    const within = (x: number) => Math.max(-MOST, Math.min(x, MOST));
    for (const [id, bias] of Object.entries(continuation.logit_bias ?? {})) {
      choices[2 * Number(id)] = within(bias);
    }
    for (const id of never) choices[2 * id] = -MOST;
    for (const id of ends) choices[2 * id + 1] = 1;
    const numbers = random.copy(); // those of tokens that do not come are not taken
    const given = tokens.length;
    const written = await this.write({
      text: {
        given,
        first: given - 1,
        end: given - 1 + max_tokens,
        temperature: temperature > 0 ? Math.max(1 / MOST, Math.min(temperature, MOST)) : 0,
      },
      tokens,
      numbers: Array.from({ length: max_tokens }, () => Math.min(numbers.random(), BELOW_1)),
      choices,
      logits,
    });
    for (let t = given; t < given + max_tokens && !signal?.aborted; t++) {
      const id = written.tokens[t];
      random.random();
      yield { id, logits: logits ? written.logits.subarray((t - 1) * V, t * V) : undefined };
      if (ends.includes(id)) return;
    }
  }

  async *score(tokens: readonly number[], signal?: AbortSignal): AsyncGenerator<Float32Array> {
    const { V } = this.dims;
    const text = { given: tokens.length, first: 0, end: tokens.length, temperature: 0 };
    const choices = new Float32Array(2 * V);
    const { logits } = await this.write({ text, tokens, numbers: [], choices, logits: true });
    for (let t = 0; t < tokens.length && !signal?.aborted; t++) {
      yield logits.subarray(t * V, (t + 1) * V);
    }
  }

  private write(asked: Asked): Promise<Written> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ ...asked, resolve, reject });
      void this.work();
    });
  }

  /** Dispatches until none waits. */
  private async work(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    while (this.waiting.length > 0) {
      const texts = this.waiting.splice(0, SLOTS);
      try {
        const written = await this.dispatch(texts);
        for (const [i, { resolve }] of texts.entries()) resolve(written[i]);
      } catch (error) {
        for (const { reject } of texts) reject(error);
      }
    }
    this.busy = false;
  }

  /** Up to SLOTS of them. */
  private async dispatch(texts: readonly Asked[]): Promise<Written[]> {
    const { device, tensors, schedule } = this;
    const { T, V } = this.dims;
    const tokens = new Float32Array(texts.length * (T + 1));
    const numbers = new Float32Array(texts.length * T);
    const choices = new Float32Array(texts.length * V * 2);
    for (const [i, asked] of texts.entries()) {
      tokens.set(asked.tokens, i * (T + 1));
      numbers.set(asked.numbers, i * T + asked.text.given - 1);
      choices.set(asked.choices, i * V * 2);
    }
    const all = Array.from({ length: SLOTS }, (_, i) => texts[i]?.text ?? NO_TEXT);
    writeTensor(device, tensors.texts, packTexts(all));
    writeTensor(device, tensors.tokens, tokens);
    writeTensor(device, tensors.numbers, numbers);
    writeTensor(device, tensors.choices, choices);
    const encoder = device.gpu.createCommandEncoder();
    schedule.encode(encoder);
    device.gpu.queue.submit([encoder.finish()]);
    const read = async ({ buffer }: Tensor, row: number) => {
      const values = new Float32Array(await device.read(buffer, 0, texts.length * row * 4));
      return texts.map((_, i) => values.subarray(i * row, (i + 1) * row));
    };
    const wanted = texts.some(({ logits }) => logits);
    const [ids, logits] = await Promise.all([
      read(tensors.tokens, T + 1),
      wanted ? read(tensors.logits, T * V) : texts.map(() => new Float32Array()),
    ]);
    return ids.map((tokens, i) => ({ tokens, logits: logits[i] }));
  }

  destroy(): void {
    this.general.destroy();
    this.schedule.destroy();
    destroyTensors(this.tensors);
  }
}

/** Whether a text stays within the context, and is drawn by no more than temperature and bias. */
function serves(continuation: Continuation, block_size: number): boolean {
  const { tokens, max_tokens, top_k = 0, top_p = 1, min_p = 0 } = continuation;
  const { repetition_penalty = 1 } = continuation;
  const plain = top_k === 0 && top_p === 1 && min_p === 0 && repetition_penalty === 1;
  return plain && tokens.length + max_tokens - 1 <= block_size;
}
