// Writes texts with a model that one workgroup holds: all tokens of a text in one dispatch.

import type { Device } from "../device/device.ts";
import { compile } from "../device/prepare.ts";
import { allocateTensors, type Tensor, writeTensor } from "../device/tensors.ts";
import type { ForwardConfig } from "../model/forward_config.ts";
import type { Dims } from "../model/parameters.ts";
import { SmallLayout } from "../small/layout.ts";
import type { SmallTuning } from "../small/ops.ts";
import { sampling, SLOTS, SmallTexts } from "../small/texts.ts";
import type { Continuation, DecodedToken, Decoder } from "./decoder.ts";
import { GpuDecoder, type GpuDecoding } from "./gpu_decoder.ts";
import type { Drawing } from "./probabilities.ts";

/** Of a logit that must not win, or must: no sum of such numbers is infinite in float32. */
const MOST = 1e30;
/** The largest number below 1. */
const BELOW_1 = 1 - 2 ** -24;

/** What decodes what the kernel cannot, see serves(); and what is freed with it. */
export interface General {
  get(): Promise<Decoder>;
  destroy(): void;
}

export class SmallDecoder implements Decoder {
  readonly num_slots = SLOTS;
  private readonly dims: Dims;
  private readonly texts: SmallTexts;
  private readonly general: General;

  private constructor(dims: Dims, texts: SmallTexts, general: General) {
    this.dims = dims;
    this.texts = texts;
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
    const list = [sampling(config, dims, tuning)];
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
    const texts = await SmallTexts.create(device, config, dims, params, tuning);
    return new SmallDecoder(dims, texts, general);
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
    const numbers = random.clone(); // those of tokens that do not come are not taken
    const given = tokens.length;
    const written = await this.texts.write({
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
    const { logits } = await this.texts.write({ text, tokens, numbers: [], choices, logits: true });
    for (let t = 0; t < tokens.length && !signal?.aborted; t++) {
      yield logits.subarray(t * V, (t + 1) * V);
    }
  }

  destroy(): void {
    this.general.destroy();
    this.texts.destroy();
  }
}

/** Whether a text stays within the context, and is drawn as the kernel can. */
function serves(continuation: Continuation, block_size: number): boolean {
  const { tokens, max_tokens } = continuation;
  return isPlain(continuation) && tokens.length + max_tokens - 1 <= block_size;
}

/** Whether texts are drawn by no more than temperature and bias. */
export function isPlain(drawing: Omit<Drawing, "temperature">): boolean {
  const { top_k = 0, top_p = 1, min_p = 0, repetition_penalty = 1 } = drawing;
  return top_k === 0 && top_p === 1 && min_p === 0 && repetition_penalty === 1;
}
