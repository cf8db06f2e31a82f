// TypeDoc asks TypeScript for its JavaScript interface, which version 7 has not: it gets the older one that attw brings.
// Loaded before it: node --import ./test/docs/typescript.js node_modules/typedoc/bin/typedoc

import { registerHooks } from "node:module";

const parentURL = import.meta.resolve("@arethetypeswrong/core");

registerHooks({
  resolve(specifier, context, next) {
    return next(specifier, specifier === "typescript" ? { ...context, parentURL } : context);
  },
});
