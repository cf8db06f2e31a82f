// Whether an adapter is a GPU in software, by what it says of itself.

/** Words in the names of lavapipe (llvmpipe), SwiftShader, and Windows' WARP. */
const names = /\b(software|swiftshader|llvmpipe|lavapipe|basic render)/i;

export function isSoftware({
  isFallbackAdapter,
  architecture,
  device,
  description,
}: Pick<GPUAdapterInfo, "architecture" | "device" | "description"> & {
  isFallbackAdapter?: boolean;
}): boolean {
  return isFallbackAdapter === true || names.test(`${architecture} ${device} ${description}`);
}
