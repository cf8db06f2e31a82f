// Windows of steps: handed to the device together, a bounded number on their way at once, confirmed when
// their records (loss and gradient norm of every step) have been read.

import type { Device } from "./device.ts";
import { ReadbackRing } from "./ring.ts";
import { Pace } from "./pace.ts";

/** Windows whose records may be on their way at once; more would only queue up. */
export const WINDOWS = 2;

/** Steps `first` + 1 .. `first` + `steps`, confirmed. */
export interface StepWindow {
  first: number;
  steps: number;
  /** As the engine wrote them. */
  records: Float32Array;
}

interface Flight {
  first: number;
  steps: number;
  /** Starts the read of its records. */
  read: () => Promise<ArrayBuffer>;
}

/** Records the steps `first` + 1 .. `first` + `steps`, and says where their records will be. */
type Encode = (
  encoder: GPUCommandEncoder,
  first: number,
  steps: number,
  /** 0 or 1, in turns: the half of the device's records that is free. */
  half: number,
) => { buffer: GPUBuffer; offset: number };

export class Windows {
  /** Steps that are confirmed. */
  step = 0;
  /** Steps that were handed to the device. */
  submitted = 0;
  private half = 0;
  private readonly flights: Flight[] = [];
  private readonly device: Device;
  private readonly encode: Encode;
  private readonly capacity: number;
  private readonly recordBytes: number;
  private readonly ring: ReadbackRing;
  private readonly pace: Pace;

  /**
   * @param capacity steps of a window at most
   * @param recordBytes of one step
   */
  constructor(device: Device, capacity: number, recordBytes: number, encode: Encode) {
    this.device = device;
    this.encode = encode;
    this.capacity = capacity;
    this.recordBytes = recordBytes;
    this.pace = new Pace(capacity);
    this.ring = new ReadbackRing(device, capacity * recordBytes, WINDOWS);
  }

  /** Goes on after `step` steps; before the first one. */
  startAt(step: number): void {
    this.step = this.submitted = step;
  }

  /**
   * Trains until `until` steps are done and yields them, window by window. Not pulling pauses. Once
   * `signal` is aborted no further step is begun, and those in flight are still yielded.
   * @throws GpuError if the device fails; no step after the failure is counted
   */
  async *run(until: number, signal?: AbortSignal): AsyncGenerator<StepWindow> {
    this.pace.start();
    for (;;) {
      while (this.flights.length < WINDOWS && this.submitted < until && !signal?.aborted) {
        this.submit(until);
      }
      if (this.flights.length === 0) return;
      yield await this.confirm();
    }
  }

  private submit(until: number): void {
    const { gpu } = this.device;
    const first = this.submitted;
    const steps = Math.min(this.pace.windowSize, until - first, this.capacity);
    const encoder = gpu.createCommandEncoder();
    const { buffer, offset } = this.encode(encoder, first, steps, this.half);
    const read = this.ring.copy(encoder, buffer, offset, steps * this.recordBytes);
    gpu.queue.submit([encoder.finish()]);
    this.half = 1 - this.half;
    this.submitted += steps;
    this.flights.push({ first, steps, read });
  }

  /** Waits for the oldest window's records; only now do its steps count. */
  private async confirm(): Promise<StepWindow> {
    const { first, steps, read } = this.flights[0];
    const records = new Float32Array(await read());
    this.flights.shift();
    this.step += steps;
    this.pace.done(steps);
    return { first, steps, records };
  }

  /** Waits for what is in flight, and gives what run() will not. */
  async settle(): Promise<StepWindow[]> {
    const windows: StepWindow[] = [];
    while (this.flights.length > 0) windows.push(await this.confirm());
    return windows;
  }

  destroy(): void {
    this.ring.destroy();
  }
}
