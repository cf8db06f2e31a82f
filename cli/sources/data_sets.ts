// Known data sets, by name: where they are, and what their bytes have to be.

import { fileURLToPath } from "node:url";

interface DataSet {
  /** For --help and messages. */
  what: string;
  /** Where it is; that of the names that come along is a file. */
  url: string;
  /** Of all its bytes, in hexadecimal digits; null where they are not known, or come along. */
  sha256: string | null;
  /** What stands between its documents. */
  separator?: string;
}

export const dataSets: Readonly<Record<string, DataSet>> = {
  names: {
    what: "1,936 given names, which come along",
    url: new URL("../../src/text/names.txt", import.meta.url).href,
    sha256: null,
  },
  "makemore-names": {
    what: "the 32,033 names of makemore and microgpt",
    url: "https://raw.githubusercontent.com/karpathy/makemore/988aa59/names.txt",
    sha256: "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
  },
  tinyshakespeare: {
    what: "1.1 MB of Shakespeare's plays",
    url: "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    sha256: "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
  },
  tinystories: {
    what: "2 GB of stories in words that children know",
    url: "https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main/TinyStoriesV2-GPT4-train.txt",
    sha256: null,
    separator: "<|endoftext|>",
  },
};

export const dataSetNames = Object.keys(dataSets);

/** The path of one that comes along. */
export function shippedPath({ url }: DataSet): string | undefined {
  return url.startsWith("file:") ? fileURLToPath(url) : undefined;
}
