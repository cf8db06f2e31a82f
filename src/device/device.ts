// Opens the GPU: asks for what is there and useful, and turns its failures into sentences.

import { platform } from "#platform";
import { GpuError, NoWebGpuError } from "../errors.ts";
import type { Platform } from "../platform/platform.ts";
import { isSoftware } from "../platform/software.ts";
import { Kernels } from "./kernels.ts";
import { Scratch } from "./scratch.ts";
import type { Tensor } from "./tensor.ts";

/** Features asked for where the adapter has them. */
const usefulFeatures = [
  "timestamp-query",
  "shader-f16",
  "subgroups",
  "subgroup-size-control",
  "chromium-experimental-subgroup-matrix",
];

/** Limits raised to what the adapter has; the rest stay at WebGPU's defaults. */
const usefulLimits = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupsPerDimension",
] as const;

/**
 * Opens a device of the most powerful adapter.
 * @param from where the engine runs
 * @throws NoWebGpuError if there is none, with the reason
 */
export async function openDevice(
  from: Pick<Platform, "gpu" | "shaders"> = platform,
): Promise<Device> {
  let entry: GPU | undefined;
  try {
    entry = await from.gpu();
  } catch (error) {
    throw new NoWebGpuError(`WebGPU could not be loaded: ${messageOf(error)}`);
  }
  if (!entry) {
    throw new NoWebGpuError(
      "There is no WebGPU here: this browser does not offer it (a recent Chrome, Edge, Safari or " +
        "Firefox does, on a page served over https or from localhost).",
    );
  }
  const adapter = await entry.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new NoWebGpuError(
      "There is no WebGPU adapter: no GPU driver that WebGPU can use was found (on Linux a Vulkan " +
        "driver is needed, such as the vendor's own or mesa-vulkan-drivers).",
    );
  }
  const requiredFeatures = usefulFeatures.filter((name) =>
    adapter.features.has(name as GPUFeatureName),
  ) as GPUFeatureName[];
  const requiredLimits = Object.fromEntries(
    usefulLimits.map((name) => [name, adapter.limits[name]]),
  );
  try {
    const gpu = await adapter.requestDevice({ requiredFeatures, requiredLimits });
    return new Device(gpu, adapter.info, from.shaders());
  } catch (error) {
    throw new NoWebGpuError(
      `The adapter ${nameOf(adapter.info)} gave no device: ${messageOf(error)}`,
    );
  }
}

const UNMEASURED_GFLOPS = 250;

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** For people. Of hardware `description` is often the driver alone; of software it says more than `device` does. */
function nameOf(info: GPUAdapterInfo): string {
  const [description, device, vendor, architecture] = [
    info.description,
    info.device,
    info.vendor,
    info.architecture,
  ].map((name) => (/^\d+$/.test(name) ? "" : name)); // wgpu gives numbers for device and vendor
  const names = isSoftware(info) ? [description, device] : [device, description];
  const family = [vendor, architecture].filter(Boolean).join(" ");
  const name = names.find(Boolean) || family || `WebGPU (${platform.implementation})`;
  return name + (platform.through ?? "");
}

function nothing(gpu: GPUDevice): Tensor {
  const [name, size] = ["nothing", 16];
  const buffer = gpu.createBuffer({ label: name, size, usage: GPUBufferUsage.STORAGE });
  return { name, shape: [size / 4], buffer, offset: 0, size };
}

export class Device {
  readonly gpu: GPUDevice;
  readonly info: GPUAdapterInfo;
  /** The adapter's name, for people. */
  readonly name: string;
  /** Whether it is a program on the CPU: it compiles slowly, and has few lanes and a core or two. */
  readonly software: boolean;
  readonly kernels: Kernels;
  /** What a kernel is given to write to where it declares an output that it is not asked for. */
  readonly nothing: Tensor;
  /** Where a GPU in software runs what it has to compile; hardware needs none. */
  readonly scratch: Scratch | undefined;
  /** Why its matrix units are left alone though it has them; see trial.ts. */
  matrixFault: string | undefined;
  /**
   * GFLOP/s that products are made at, at least: by it schedules know which dispatches would take too long. A small
   * GPU's until something was measured.
   */
  gflops: number;
  /** Resolves once it has failed; of a device that is idle the driver may tell nothing until idle() asks. */
  readonly failing: Promise<GpuError>;
  private failure: GpuError | undefined;
  private tell!: (failure: GpuError) => void;

  constructor(gpu: GPUDevice, info: GPUAdapterInfo, shaders: Record<string, string>) {
    this.gpu = gpu;
    this.info = info;
    this.name = nameOf(info);
    this.software = isSoftware(info);
    this.gflops = this.software ? Infinity : UNMEASURED_GFLOPS; // nothing watches over software
    // Compilers of software GPUs take minutes over such texts, and gain nothing.
    this.kernels = new Kernels(gpu, shaders, !this.software);
    this.nothing = nothing(gpu);
    this.scratch = this.software ? new Scratch(gpu) : undefined;
    this.failing = new Promise((resolve) => (this.tell = resolve));
    gpu.addEventListener("uncapturederror", (event) => {
      event.preventDefault(); // told by check(), not by the console
      const { message } = (event as GPUUncapturedErrorEvent).error;
      this.fail(`${this.name} refused a command: ${message.trim()}`);
    });
    void gpu.lost.then(({ reason, message }) => {
      const why = message.trim() || `no reason given (${reason ?? "unknown"})`;
      this.fail(`${this.name} was lost: ${why}`);
    });
  }

  get features(): string[] {
    return [...this.gpu.features].sort();
  }

  /**
   * Lanes that run together. Without subgroups what an adapter says of their size means nothing: then 8 in
   * software, which has 4 to 16, and 32 elsewhere.
   */
  get lanes(): number {
    const told = this.gpu.features.has("subgroups") ? this.info.subgroupMaxSize : 0;
    return told || (this.software ? 8 : 32);
  }

  get limits(): Record<string, number> {
    return Object.fromEntries(usefulLimits.map((name) => [name, this.gpu.limits[name]]));
  }

  private fail(sentence: string): void {
    this.failure ??= new GpuError(
      `${sentence.replace(/\.?$/, ".")} Steps after the last one reported do not count; ` +
        `start again, with a smaller model or batch if it happens again, or with the CPU as device.`,
    );
    this.tell(this.failure);
  }

  /** @throws GpuError if the device was lost or refused a command */
  check(): void {
    if (this.failure) throw this.failure;
  }

  /** Maps a buffer for reading. @throws GpuError if the device fails before it is ready */
  async map(buffer: GPUBuffer, offset?: number, size?: number): Promise<ArrayBuffer> {
    try {
      await platform.wait(buffer.mapAsync(GPUMapMode.READ, offset, size), () => this.nudge());
    } catch (error) {
      // The loss itself is announced by its own promise, perhaps only after this rejection.
      await new Promise((resolve) => setTimeout(resolve, 50));
      this.fail(`Reading from ${this.name} failed: ${messageOf(error)}`);
    }
    this.check();
    const bytes = buffer.getMappedRange(offset, size).slice(0);
    buffer.unmap();
    return bytes;
  }

  /** Whether it was lost or refused a command, and is of no more use. */
  get failed(): boolean {
    return this.failure !== undefined;
  }

  /** Waits until everything submitted is done. @throws GpuError if the device has failed */
  async idle(): Promise<void> {
    await platform.wait(this.gpu.queue.onSubmittedWorkDone(), () => this.nudge());
    this.check();
  }

  /** Gives the GPU's process a reason to look for what is done. */
  private nudge(): void {
    this.gpu.queue.submit([]);
  }

  /** Copies `size` bytes (multiples of 4) from a buffer and waits for them. */
  async read(source: GPUBuffer, offset: number, size: number): Promise<ArrayBuffer> {
    this.check();
    const staging = this.gpu.createBuffer({
      label: "read",
      size,
      usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
    });
    const encoder = this.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(source, offset, staging, 0, size);
    this.gpu.queue.submit([encoder.finish()]);
    try {
      return await this.map(staging);
    } finally {
      staging.destroy();
    }
  }

  destroy(): void {
    this.gpu.destroy();
  }
}

/** The subgroup size of a software GPU that has subgroups; 0 on every other device. */
export function softwareLanes({ software, lanes, features, info }: Device): number {
  const fixed = software && features.includes("subgroups") && info.subgroupMinSize === lanes;
  return fixed && (lanes === 4 || lanes === 8) ? lanes : 0;
}
