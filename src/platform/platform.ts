// What the engine needs from where it runs; everything else in src is the same in Node and in a browser.

export interface Platform {
  /** The WebGPU entry point, or undefined where there is none. Throws where loading it fails. */
  gpu(): Promise<GPU | undefined>;
  /** The text of every file in shaders/, by its name without `.wgsl`. */
  shaders(): Record<string, string>;
  /** Waits for what the GPU does, without taking a core from it. */
  wait<T>(work: Promise<T>): Promise<T>;
  /** Bytes of main memory that a run may count on. */
  memory(): number;
}
