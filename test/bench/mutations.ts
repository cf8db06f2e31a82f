// Imports foreign files with something changed, as many as one likes: each is a model or is refused in a sentence.
//
//   node test/bench/mutations.ts --count 100000 --seed 1

import { parseArgs } from "node:util";
import { runMutations } from "../harness/foreign_mutations.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
  },
});

const { models, sentences, longest } = runMutations(Number(values.count), Number(values.seed));
const kinds = new Set(
  [...sentences].map((text) => text.replace(/".*?"|[\d.]+|\{.*?\}|\[.*?\]/g, "…").slice(0, 80)),
);
console.log([...kinds].toSorted().join("\n"));
console.log(
  `${models} models, ${sentences.size} sentences of ${kinds.size} kinds, ${longest.toFixed(0)} ms at most`,
);
