// The WGSL files as pipelines: each compiled once for each set of its constants.
// Bindings are declared in one place only, the WGSL itself, and read from there.

import { kernelNames, link, type Sources } from "./link.ts";
import { unroll } from "./unroll.ts";

export interface Binding {
  name: string;
  index: number;
  /** Whether the kernel may write to it. */
  writes: boolean;
  /** The type of its elements, where it is an array: a type of WGSL, or a name that the source gives to one. */
  element: string | undefined;
}

/** Bindings of group 0, as the source declares them. */
export function parseBindings(wgsl: string): Binding[] {
  const declaration =
    /@group\(0\)\s*@binding\((\d+)\)\s*var\s*<([^>]*)>\s*(\w+)\s*:\s*(?:array<(\w+)>)?/g;
  return [...wgsl.matchAll(declaration)].map(([, index, access, name, element]) => ({
    name,
    index: Number(index),
    writes: access.includes("read_write"),
    element,
  }));
}

/**
 * Tuning constants: each set of them is a pipeline of its own. WGSL's overrides; and, where it wants to know
 * a number before (the shape of a matrix, for one), the consts of a file whose comment begins with "given".
 */
export type Constants = Record<string, number>;

/** What a dispatch is about (N, C, eps …): data, so that one pipeline serves every shape. */
export type Sizes = Record<string, number>;

/** The fields of the struct `Sizes`, as the source declares them: name and type (u32 or f32). */
function parseSizes(wgsl: string): { name: string; type: string }[] {
  const body = /struct Sizes \{([^}]*)\}/.exec(wgsl)?.[1] ?? "";
  return [...body.matchAll(/(\w+): (u32|f32),/g)].map(([, name, type]) => ({ name, type }));
}

/** Kernels whose threads hold many sums. */
const unrolled = /_(matrix|wide)$/;

export class Kernels {
  private readonly gpu: GPUDevice;
  private readonly sources: Sources;
  private readonly unrolls: boolean;
  private readonly linked = new Map<string, string>();
  private readonly declared = new Map<string, Binding[]>();
  private readonly modules = new Map<string, GPUShaderModule>();
  private readonly pipelines = new Map<string, Promise<GPUComputePipeline>>();
  /** Those of which nothing is left to compile. */
  readonly ready = new WeakSet<Promise<GPUComputePipeline>>();

  /** @param unrolls whether loops of the kernels that profit from it are written out, see unroll.ts */
  constructor(gpu: GPUDevice, sources: Sources, unrolls = false) {
    this.gpu = gpu;
    this.sources = sources;
    this.unrolls = unrolls;
  }

  /** All kernels, in the alphabet's order. */
  get names(): string[] {
    return kernelNames(this.sources);
  }

  /** The text of a kernel with its pieces. */
  source(kernel: string): string {
    let source = this.linked.get(kernel);
    if (source === undefined) {
      source = link(this.sources, kernel);
      this.linked.set(kernel, source);
    }
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

  /**
   * The pipeline of a kernel (file and entry point) for these constants, started if need be.
   * @param halves names of bindings whose elements are f16
   */
  pipeline(
    kernel: string,
    constants: Constants,
    halves: readonly string[] = [],
  ): Promise<GPUComputePipeline> {
    const key = `${kernel} ${JSON.stringify([constants, halves])}`;
    let pipeline = this.pipelines.get(key);
    if (pipeline === undefined) {
      const typed = giveHalves(this.source(kernel), halves);
      const { code, overrides } = giveConstants(typed, constants);
      pipeline = this.gpu.createComputePipelineAsync({
        label: kernel,
        layout: "auto",
        compute: {
          module: this.module(kernel, this.unrolls && unrolled.test(kernel) ? unroll(code) : code),
          entryPoint: kernel,
          constants: overrides,
        },
      });
      this.pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  private module(kernel: string, code: string): GPUShaderModule {
    let module = this.modules.get(code);
    if (module === undefined) {
      module = this.gpu.createShaderModule({ label: kernel, code });
      this.modules.set(code, module);
    }
    return module;
  }
}

/**
 * A source whose given consts have their values; the constants that are left are its overrides. One that is named
 * `sizes.C` stands in place of that size: a loop whose bound is a number needs no guard, and can be written out.
 * `subgroup_size` asks for subgroups of that size. A type has two names, `alias A = vec4h;   // given vec4f where B`:
 * the second where the constant B is 1.
 */
export function giveConstants(
  source: string,
  constants: Constants,
): { code: string; overrides: Constants } {
  const overrides = { ...constants };
  const sized = source.replace(/\bsizes\.\w+\b/g, (size) => {
    if (!Object.hasOwn(constants, size)) return size;
    delete overrides[size];
    return `${constants[size]}u`;
  });
  const code = sized.replace(
    /^const (\w+) = \w+;(\s+\/\/ given)/gm,
    (line, name: string, comment: string) => {
      if (!Object.hasOwn(constants, name)) return line;
      delete overrides[name];
      return `const ${name} = ${constants[name]}u;${comment}`;
    },
  );
  const { subgroup_size, ...rest } = overrides;
  const typed = code.replace(
    /^alias (\w+) = \w+;(\s+\/\/ given (\w+) where (\w+)\b)/gm,
    (line, name: string, comment: string, type: string, where: string) => {
      const chosen = constants[where] === 1;
      delete rest[where];
      return chosen ? `alias ${name} = ${type};${comment}` : line;
    },
  );
  if (subgroup_size === undefined) return { code: typed, overrides: rest };
  const sizedGroups = typed.replace(/^@compute /m, `@compute @subgroup_size(${subgroup_size}) `);
  return { code: `enable subgroup_size_control;\n${sizedGroups}`, overrides: rest };
}

/**
 * A source some of whose arrays hold f16. Their elements have a name there, `alias Out = vec4f;   // given`, by which
 * the source says that it converts what it loads and stores; arrays with the same name hold the same.
 * @param halves names of those bindings
 * @throws RangeError where the source does not say so
 */
export function giveHalves(source: string, halves: readonly string[]): string {
  if (halves.length === 0) return source;
  const types: Record<string, string> = { f32: "f16", vec4f: "vec4h" };
  const bindings = parseBindings(source);
  const wanted = new Map(bindings.map(({ name, element }) => [element, halves.includes(name)]));
  const given = new Set<string>();
  const code = source.replace(
    /^alias (\w+) = (f32|vec4f);(\s+\/\/ given)/gm,
    (line, alias: string, type: string, comment: string) => {
      if (!wanted.get(alias)) return line;
      given.add(alias);
      return `alias ${alias} = ${types[type]};${comment}`;
    },
  );
  const wrong = bindings.find(({ name, element }) => halves.includes(name) !== given.has(element!));
  if (wrong) throw new RangeError(`the array ${wrong.name} cannot hold f16 here, or not alone`);
  return /^enable f16;/m.test(code) ? code : `enable f16;\n${code}`;
}
