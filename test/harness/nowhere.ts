// Dawn without a GPU: it compiles and checks every command, and computes nothing.

import { platform } from "#platform";
import { create, globals } from "webgpu";
import { openDevice } from "../../src/device/device.ts";

Object.assign(globalThis, globals);
// Kept, or Dawn would be torn down.
const nowhere = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);

/** A device whose subgroups are as large as hardware's. */
export const openNowhere = () =>
  openDevice({ gpu: async () => nowhere, shaders: () => platform.shaders() });
