// Texts of a small model, written in one dispatch by a workgroup each: those that were asked for meanwhile go together.

import { reluOf } from "../choices.ts";
import type { Device } from "../device/device.ts";
import { type Dispatch, Schedule } from "../device/schedule.ts";
import {
  ALIGNMENT,
  allocateTensors,
  destroyTensors,
  placeholders,
  tableBytes,
  type Tensor,
  type TensorSpec,
  writeTensor,
} from "../device/tensors.ts";
import type { ForwardConfig } from "../model/forward_config.ts";
import type { Dims } from "../model/parameters.ts";
import { NO_TEXT, packTexts, type SmallText, SQUARED, TEXT_FIELDS } from "./data.ts";
import { SmallLayout } from "./layout.ts";
import { type SampleBinding, smallSample, type SmallTuning } from "./ops.ts";

/** Texts of a dispatch at most. */
export const SLOTS = 16;

/** A text for the kernel. */
export interface Asked {
  text: SmallText;
  tokens: readonly number[];
  /** From that on which draws the first token. */
  numbers: readonly number[];
  /** (V, 2): what is added to a logit; 1 where it ends the text. */
  choices: Float32Array;
  logits: boolean;
}

/** T + 1 tokens, of which those behind the text's end mean nothing; and (T, V) logits, where they are wanted. */
export interface Written {
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

/** What SmallTexts dispatch, to be compiled before there are any. */
export function sampling(config: ForwardConfig, dims: Dims, tuning: SmallTuning): Dispatch {
  const { size } = new SmallLayout(dims);
  const tensors = placeholders([{ name: "params", shape: [size] }, ...tableOf(dims)]);
  return dispatchOf(tensors as Record<SampleBinding, Tensor>, config, dims, tuning);
}

/** Bytes that they take with the parameters, and with what is read of one text. */
export function smallTextsBytes(dims: Dims): number {
  const { size } = new SmallLayout(dims);
  return (
    tableBytes([{ name: "params", shape: [size] }, ...tableOf(dims)]) + ALIGNMENT + 4 * (dims.T + 1)
  );
}

export class SmallTexts {
  private readonly device: Device;
  private readonly dims: Dims;
  private readonly tensors: Tensors;
  private readonly schedule: Schedule;
  private readonly waiting: Waiting[] = [];
  private busy = false;

  private constructor(device: Device, dims: Dims, tensors: Tensors, schedule: Schedule) {
    this.device = device;
    this.dims = dims;
    this.tensors = tensors;
    this.schedule = schedule;
  }

  /** @param params as SmallLayout has them; read in place, so it follows a training run */
  static async create(
    device: Device,
    config: ForwardConfig,
    dims: Dims,
    params: Tensor,
    tuning: SmallTuning,
  ): Promise<SmallTexts> {
    const tensors = await allocateTensors(device, tableOf(dims));
    const list = [dispatchOf({ params, ...tensors }, config, dims, tuning)];
    return new SmallTexts(device, dims, tensors, await Schedule.create(device, list));
  }

  /** @throws GpuError if the device fails */
  write(asked: Asked): Promise<Written> {
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
    this.schedule.destroy();
    destroyTensors(this.tensors);
  }
}
