// Ends the counting of lines in a process of tests whose loops run over numbers: they take eight times as long with it,
// and other tests reach the same lines.

import inspector from "node:inspector/promises";

const session = new inspector.Session();
session.connect();
await session.post("Profiler.enable");
await session.post("Profiler.stopPreciseCoverage");
session.disconnect();
