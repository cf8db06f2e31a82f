// A saved model, ready to write texts on the device of one's choice.

import { type DeviceChoice, makeOn } from "../device/choose.ts";
import type { Device } from "../device/device.ts";
import { ConfigError } from "../errors.ts";
import { ParameterLayout } from "../model/parameters.ts";
import { PythonRandom } from "../random.ts";
import type { Model } from "../files/model_files.ts";
import { generate, type SampleEvent } from "./generate.ts";
import { GpuPredictor } from "./gpu_predictor.ts";
import { CpuPredictor, type Predictor } from "./predictor.ts";

/** How texts are written. */
export interface SamplingOptions {
  num_samples: number;
  temperature: number;
  seed: number;
  /** What every text begins with. */
  prompt?: string;
  signal?: AbortSignal;
}

export class Generator {
  private readonly model: Model;
  private readonly predictor: Predictor;
  private readonly device: Device | undefined;
  /** Why `auto` took the CPU; null where it did not. */
  readonly fallback: string | null;

  private constructor(
    model: Model,
    predictor: Predictor,
    device: Device | undefined,
    fallback: string | null,
  ) {
    this.model = model;
    this.predictor = predictor;
    this.device = device;
    this.fallback = fallback;
  }

  /** @throws NoWebGpuError if `webgpu` was asked for and there is none */
  static async open(model: Model, choice: DeviceChoice): Promise<Generator> {
    const { config, layout } = model;
    const { dims } = layout;
    const flat = new ParameterLayout(dims);
    const params = layout.convert(model.values, flat, new Float64Array(flat.size));
    return makeOn(choice, async (device, fallback) => {
      const predictor = device
        ? await GpuPredictor.fromValues(device, config, dims, params)
        : new CpuPredictor(config, dims, params);
      return new Generator(model, predictor, device, fallback);
    });
  }

  /**
   * Texts, the same ones for the same seed.
   * @throws UnknownCharacterError if the prompt has a character that the model has never seen
   * @throws ConfigError if the prompt leaves no room in the context for a single token
   */
  samples(options: SamplingOptions): AsyncGenerator<SampleEvent> {
    const { prompt = "", seed, ...rest } = options;
    const { tokenizer, config } = this.model;
    const { block_size, format } = config;
    const length = tokenizer.encode(prompt).length;
    if (length >= block_size) {
      throw new ConfigError(
        "prompt",
        `The prompt has ${length} tokens, and the model's context of ${block_size} leaves room for ` +
          `${block_size - 1} at most; shorten it.`,
      );
    }
    return generate({
      ...rest,
      prompt,
      format,
      block_size,
      tokenizer,
      random: new PythonRandom(seed),
      nextLogits: (tokens) => this.predictor.nextLogits(tokens),
    });
  }

  /** Gives the device back. */
  close(): void {
    this.predictor.destroy();
    this.device?.destroy();
  }
}
