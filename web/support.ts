// Why there is no WebGPU in this browser, in plain words.

/** A sentence or two for the page; null where WebGPU works. */
export async function whyNoWebGpu(): Promise<string | null> {
  if (!isSecureContext) {
    return "Browsers give WebGPU only to pages from https or from this computer (localhost), and this page came over plain http.";
  }
  if (!("gpu" in navigator)) {
    return "This browser does not offer it. Chrome and Edge do from version 113, Safari from 26, and Firefox from 141, not yet on every system.";
  }
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  if (adapter === null) {
    return "This browser offers it, but found no GPU that it may use. Hardware acceleration may be off in its settings, or the graphics driver may be on its block list (see chrome://gpu).";
  }
  return null;
}
