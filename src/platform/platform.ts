// What the engine needs from where it runs; everything else in src is the same in Node, in Deno and in a browser.

/**
 * Runs a script of this package in a process of its own.
 * @param quiet_ms it is ended once it has printed nothing for so long
 * @returns the lines that it printed; and what it died of, null where it ended, or was stopped by others
 */
export type Child = (
  script: URL,
  input: string,
  quiet_ms: number,
  signal?: AbortSignal,
) => Promise<{ lines: string[]; death: string | null }>;

export interface Platform {
  /** The WebGPU entry point, or undefined where there is none. Throws where loading it fails. */
  gpu(): Promise<GPU | undefined>;
  /** The text of every file in shaders/, by its path there without `.wgsl`. */
  shaders(): Record<string, string>;
  /**
   * Waits for what the GPU does, without taking a core from it.
   * @param nudge submits nothing, which makes some implementations look for what is done
   */
  wait<T>(work: Promise<T>, nudge?: () => void): Promise<T>;
  /** One turn of the event loop, in which signals and messages are seen to. */
  turn(): Promise<void>;
  /** Absent where there are no processes to be had. */
  child?: Child;
  /** The text that was remembered under a name on this machine; undefined where there is none. */
  recall(name: string): Promise<string | undefined>;
  /** Remembers a text between runs. @returns why it could not; null if it did */
  remember(name: string, text: string): Promise<string | null>;
  /** Where it is remembered, for people. */
  memoryPlace(name: string): string;
  /** Of this package, and of what implements WebGPU, with its name. */
  versions(): { engine: string; webgpu: string };
  /** What implements WebGPU, for people, in a word. */
  readonly implementation: string;
  /** Said after an adapter's name where a run may have come from another implementation, whose numbers differ. */
  readonly through?: string;
  /** How a GPU in software is had here, as the beginning of a sentence; null where there is no such advice. */
  readonly softwareGpu: string | null;
  /** The command that certifies a device; null where there is none. */
  readonly doctor: string | null;
  /** Bytes of main memory that a run may count on. */
  memory(): number;
  /** Threads that a run may count on. */
  cores(): number;
}
