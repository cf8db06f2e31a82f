// Dawn without a GPU: it compiles and checks every command, and computes nothing.

import { platform } from "#platform";
import { create } from "webgpu";
import { openDevice } from "../../src/device/device.ts";

// Kept, or Dawn would be torn down.
const nowhere = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);

/** A device whose subgroups are as large as hardware's. */
export const openNowhere = () =>
  openDevice({ gpu: async () => nowhere, shaders: () => platform.shaders() });
