// Counts what passes through a device: bytes of the buffers that live at once, submits, dispatches.

import type { Device } from "./device.ts";

/** Counts from its making until stop(). A second one may be made meanwhile, to be stopped first. */
export class Meter {
  /** Of buffers that were made since, and not yet destroyed. */
  bytes = 0;
  /** The most there were at any time. */
  peak_bytes = 0;
  submits = 0;
  dispatches = 0;
  private readonly restore: () => void;

  constructor({ gpu }: Pick<Device, "gpu">) {
    const { queue } = gpu;
    const undo = [
      replace(
        gpu,
        "createBuffer",
        (create) => (descriptor) => this.countBuffer(create(descriptor)),
      ),
      replace(gpu, "createCommandEncoder", (create) => (descriptor) => {
        const encoder = create(descriptor);
        replace(
          encoder,
          "beginComputePass",
          (begin) => (descriptor) => this.countPass(begin(descriptor)),
        );
        return encoder;
      }),
      replace(queue, "submit", (submit) => (commands) => {
        this.submits++;
        return submit(commands);
      }),
    ];
    this.restore = () => undo.forEach((restore) => restore());
  }

  private countBuffer(buffer: GPUBuffer): GPUBuffer {
    const { size } = buffer;
    this.bytes += size;
    this.peak_bytes = Math.max(this.peak_bytes, this.bytes);
    const restore = replace(buffer, "destroy", (destroy) => () => {
      restore();
      this.bytes -= size;
      return destroy();
    });
    return buffer;
  }

  private countPass(pass: GPUComputePassEncoder): GPUComputePassEncoder {
    replace(pass, "dispatchWorkgroups", (dispatch) => (x, y, z) => {
      this.dispatches++;
      return dispatch(x, y, z);
    });
    return pass;
  }

  /** Leaves the device as it was; buffers that are destroyed later are still counted. */
  stop(): this {
    this.restore();
    return this;
  }
}

type Method = (...args: any[]) => any;

/** Puts a method in front of an object's own or inherited one; what is returned takes it away again. */
function replace<Name extends string, T extends Record<Name, Method>>(
  object: T,
  name: Name,
  make: (original: T[Name]) => T[Name],
): () => void {
  const original = Object.getOwnPropertyDescriptor(object, name);
  const method = object[name];
  const value = make(((...args: any[]) => method.apply(object, args)) as T[Name]);
  Object.defineProperty(object, name, { value, configurable: true });
  return () => {
    if (original) Object.defineProperty(object, name, original);
    else Reflect.deleteProperty(object, name);
  };
}
