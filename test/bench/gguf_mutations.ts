// Imports GGUF files with something changed, as many as one likes: each is a model or is refused in a sentence.
//
//   node test/bench/gguf_mutations.ts --count 100000 --seed 1

import { parseArgs } from "node:util";
import { models, written } from "../exchange/gguf_models.ts";
import { runGgufMutations } from "../harness/gguf_mutations.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
  },
});
const files = models.map(([, model]) => written(model));
const found = runGgufMutations(files, Number(values.count), Number(values.seed));
const kinds = new Set(
  [...found.sentences].map((text) => text.replaceAll(/".*?"|[\d.]+|\(.*?\)/g, "…").slice(0, 110)),
);
console.log([...kinds].toSorted().join("\n"));
console.log(
  `${found.models} models, ${found.sentences.size} sentences of ${kinds.size} kinds, ` +
    `${found.longest.toFixed(0)} ms at most`,
);
