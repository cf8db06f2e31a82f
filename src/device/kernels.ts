// The WGSL files as pipelines: each compiled once for each set of its constants.
// Bindings are declared in one place only, the WGSL itself, and read from there.

import { platform } from "#platform";

export interface Binding {
  name: string;
  index: number;
  /** Whether the kernel may write to it. */
  writes: boolean;
}

/** Bindings of group 0, as the source declares them. */
export function parseBindings(wgsl: string): Binding[] {
  const declaration = /@group\(0\)\s*@binding\((\d+)\)\s*var\s*<([^>]*)>\s*(\w+)\s*:/g;
  return [...wgsl.matchAll(declaration)].map(([, index, access, name]) => ({
    name,
    index: Number(index),
    writes: access.includes("read_write"),
  }));
}

/** Tuning constants, WGSL's overrides: each set of them is a pipeline of its own. */
export type Constants = Record<string, number>;

/** What a dispatch is about (N, C, eps …): data, so that one pipeline serves every shape. */
export type Sizes = Record<string, number>;

/** The fields of the struct `Sizes`, as the source declares them: name and type (u32 or f32). */
function parseSizes(wgsl: string): { name: string; type: string }[] {
  const body = /struct Sizes \{([^}]*)\}/.exec(wgsl)?.[1] ?? "";
  return [...body.matchAll(/(\w+): (u32|f32),/g)].map(([, name, type]) => ({ name, type }));
}

export class Kernels {
  private readonly gpu: GPUDevice;
  private readonly sources: Record<string, string>;
  private readonly declared = new Map<string, Binding[]>();
  private readonly modules = new Map<string, GPUShaderModule>();
  private readonly pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(gpu: GPUDevice, sources: Record<string, string>) {
    this.gpu = gpu;
    this.sources = sources;
  }

  /** The text of a kernel's file. */
  source(kernel: string): string {
    const source = this.sources[kernel];
    if (source === undefined) throw new RangeError(`there is no kernel ${kernel}.wgsl`);
    return source;
  }

  bindings(kernel: string): readonly Binding[] {
    let bindings = this.declared.get(kernel);
    if (bindings === undefined) {
      bindings = parseBindings(this.source(kernel));
      this.declared.set(kernel, bindings);
    }
    return bindings;
  }

  /** The bytes of a kernel's uniform `sizes`. */
  packSizes(kernel: string, sizes: Sizes): ArrayBuffer {
    const fields = parseSizes(this.source(kernel));
    const bytes = new ArrayBuffer(fields.length * 4);
    const view = new DataView(bytes);
    fields.forEach(({ name, type }, i) => {
      const value = sizes[name];
      if (value === undefined) throw new RangeError(`${kernel}.wgsl: no value for sizes.${name}`);
      if (type === "u32") view.setUint32(i * 4, value, true);
      else view.setFloat32(i * 4, value, true);
    });
    return bytes;
  }

  /** The pipeline of a kernel (file and entry point) for these constants. */
  pipeline(kernel: string, constants: Constants): Promise<GPUComputePipeline> {
    const key = `${kernel} ${JSON.stringify(constants)}`;
    let pipeline = this.pipelines.get(key);
    if (pipeline === undefined) {
      const compiling = this.gpu.createComputePipelineAsync({
        label: kernel,
        layout: "auto",
        compute: {
          module: this.module(kernel),
          entryPoint: kernel,
          constants,
        },
      });
      pipeline = platform.wait(compiling);
      this.pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  private module(kernel: string): GPUShaderModule {
    let module = this.modules.get(kernel);
    if (module === undefined) {
      module = this.gpu.createShaderModule({ label: kernel, code: this.source(kernel) });
      this.modules.set(kernel, module);
    }
    return module;
  }
}
