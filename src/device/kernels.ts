// The WGSL files as pipelines: each compiled once for each set of its constants.
// Bindings are declared in one place only, the WGSL itself, and read from there.

export interface Binding {
  name: string;
  index: number;
}

/** Bindings of group 0, as the source declares them. */
export function parseBindings(wgsl: string): Binding[] {
  const declaration = /@group\(0\)\s*@binding\((\d+)\)\s*var\s*<[^>]*>\s*(\w+)\s*:/g;
  return [...wgsl.matchAll(declaration)].map(([, index, name]) => ({ name, index: Number(index) }));
}

export type Constants = Record<string, number | boolean>;

export class Kernels {
  private readonly gpu: GPUDevice;
  private readonly sources: Record<string, string>;
  private readonly modules = new Map<string, GPUShaderModule>();
  private readonly pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(gpu: GPUDevice, sources: Record<string, string>) {
    this.gpu = gpu;
    this.sources = sources;
  }

  bindings(kernel: string): Binding[] {
    const source = this.sources[kernel];
    if (source === undefined) throw new RangeError(`there is no kernel ${kernel}.wgsl`);
    return parseBindings(source);
  }

  /** The pipeline of a kernel (file and entry point) for these constants. */
  pipeline(kernel: string, constants: Constants): Promise<GPUComputePipeline> {
    const key = `${kernel} ${JSON.stringify(constants)}`;
    let pipeline = this.pipelines.get(key);
    if (pipeline === undefined) {
      pipeline = this.gpu.createComputePipelineAsync({
        label: kernel,
        layout: "auto",
        compute: {
          module: this.module(kernel),
          entryPoint: kernel,
          // booleans too are given as numbers
          constants: Object.fromEntries(Object.entries(constants).map(([k, v]) => [k, Number(v)])),
        },
      });
      this.pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  private module(kernel: string): GPUShaderModule {
    let module = this.modules.get(kernel);
    if (module === undefined) {
      module = this.gpu.createShaderModule({ label: kernel, code: this.sources[kernel] });
      this.modules.set(kernel, module);
    }
    return module;
  }
}
