// The tests' device with less memory than it has.

import type { Device } from "../../src/device/device.ts";

/** Limits on a buffer and a binding; and bytes of buffers, after which no more can be had. */
interface Memory {
  binding?: number;
  /** As a binding where absent. */
  buffer?: number;
  all?: number;
}

/** The same device, in appearance hardware where `all` is limited. */
export function limited(
  device: Device,
  { binding = Infinity, buffer = binding, all = Infinity }: Memory,
): Device {
  const { gpu } = device;
  const limits = new Proxy(gpu.limits, {
    get(limits, name) {
      const value = Reflect.get(limits, name, limits) as number;
      if (/BindingSize/.test(String(name))) return Math.min(binding, value);
      return /BufferSize/.test(String(name)) ? Math.min(buffer, value) : value;
    },
  });
  let bytes = 0;
  let failed = false;
  const replaced: Record<string, unknown> = {
    limits,
    createBuffer(descriptor: GPUBufferDescriptor) {
      const buffer = gpu.createBuffer({ ...descriptor, size: Math.min(descriptor.size, 2 ** 24) });
      bytes += descriptor.size;
      failed ||= bytes > all;
      buffer.destroy = () => {
        bytes -= descriptor.size;
        GPUBuffer.prototype.destroy.call(buffer);
      };
      return buffer;
    },
    async popErrorScope() {
      const error = await gpu.popErrorScope();
      const [out, message] = [failed, "out of memory"];
      failed = false;
      return out ? { message } : error;
    },
  };
  if (all === Infinity) {
    delete replaced.createBuffer;
    delete replaced.popErrorScope;
  }
  const small = new Proxy(gpu, {
    get(gpu, name) {
      if (Object.hasOwn(replaced, name)) return replaced[String(name)];
      const value: unknown = Reflect.get(gpu, name, gpu);
      return typeof value === "function" ? value.bind(gpu) : value;
    },
  });
  const software = device.software && all === Infinity;
  return Object.create(device, { gpu: { value: small }, software: { value: software } });
}
