// The module of a worker that writes for a page: `load(address, { worker })` tells it with which model.

import { listen } from "./library/listen.ts";

listen(globalThis as unknown as Parameters<typeof listen>[0]);
