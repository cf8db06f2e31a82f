// What of a text takes a while where it has millions of documents: how far it is is told, and a signal ends it.

import { teller } from "../device/prepare.ts";
import { Breather } from "../platform/breather.ts";
import type { PythonRandom } from "../random.ts";
import { keptFingerprint } from "../text/fingerprint.ts";
import type { Tell } from "../text/tokenize.ts";
import type { PrepareEvent } from "./events.ts";
import { rarely } from "./tokenize.ts";

type Progress = (event: PrepareEvent) => void;

/** Fewer documents or tokens are gone through in a moment, and nothing is told. */
const MANY = 2 ** 20;

/** @throws the signal's reason soon after it is aborted */
export function shuffleDocuments(
  order: Uint32Array,
  random: PythonRandom,
  { progress, signal }: { progress?: Progress; signal?: AbortSignal } = {},
): Promise<void> {
  const work = random.shuffleInParts(order, ofMany("shuffle", progress));
  return new Breather().through(work, signal);
}

/** Takes a text's fingerprint; throws the signal's reason soon after it is aborted. */
export type Identify = (signal?: AbortSignal) => Promise<string>;

type Text = Parameters<typeof keptFingerprint>;

export function identifier(
  corpus: Text[0],
  config: Text[1],
  tokens: Text[2],
  tokenizer: Text[3],
  progress?: Progress,
): Identify {
  return (signal) => {
    const tell = ofMany("fingerprint", progress);
    return keptFingerprint(corpus, config, tokens, tokenizer, { tell, signal });
  };
}

/** Tells how far it is with many things, and nothing where they are few. */
function ofMany(what: "shuffle" | "fingerprint", progress?: Progress): Tell {
  const tell = rarely(teller(what, progress));
  return (done, total) => {
    if (total >= MANY) tell(done, total);
  };
}
