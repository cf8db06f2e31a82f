// Asks Dawn for an adapter and prints what it is as JSON, or null: run as a process of its own by gpu.ts,
// because the Vulkan loader reads its environment once, when it is loaded, and a bad driver may crash.

import { platform } from "../../src/platform/platform.node.ts";

const gpu = await platform.gpu();
const adapter = await gpu?.requestAdapter();
const { vendor, architecture, device, description } = adapter?.info ?? {};
console.log(JSON.stringify(adapter ? { vendor, architecture, device, description } : null));
