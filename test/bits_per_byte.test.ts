// Bits per byte: by hand, with characters of one to four bytes, and what a run tells of its validation.

import { expect, test } from "vitest";
import { resolveConfig } from "../src/config.ts";
import { bitsPerByte, sizeOfTargets } from "../src/text/bits_per_byte.ts";
import { CharTokenizer } from "../src/tokenizer/char.ts";
import { Training } from "../src/training/train.ts";

const tokenizer = CharTokenizer.fromDocuments(["aé€\u{1F600}"]);
const ids = (text: string) => tokenizer.encode(text);
const { bos } = tokenizer;

test("a token has the bytes of its text in UTF-8, and a special one none", () => {
  const bytes = [...ids("aé€\u{1F600}"), bos].map((id) => tokenizer.byteLength(id));
  expect(bytes).toEqual([1, 2, 3, 4, 0]);
});

test("what is predicted counts: not the first token of a sequence, and no bytes of a special one", () => {
  const document = Int32Array.from([bos, ...ids("aé€"), bos]);
  const window = Int32Array.from(ids("\u{1F600}é\u{1F600}"));
  expect(sizeOfTargets([document], tokenizer)).toEqual({ tokens: 4, bytes: 6 });
  expect(sizeOfTargets([window], tokenizer)).toEqual({ tokens: 2, bytes: 6 });
  expect(sizeOfTargets([document, window], tokenizer)).toEqual({ tokens: 6, bytes: 12 });
});

test("the loss of all tokens in bits is shared by the bytes", () => {
  // 3 bits a token, 4 tokens: 12 bits for 6 bytes.
  expect(bitsPerByte(3 * Math.LN2, { tokens: 4, bytes: 6 })).toBeCloseTo(2, 14);
  // A guess among 256 of a byte each.
  expect(bitsPerByte(Math.log(256), { tokens: 10, bytes: 10 })).toBeCloseTo(8, 14);
  expect(bitsPerByte(1, { tokens: 1, bytes: 0 })).toBeNull();
});

test("a run tells its validation's, of the text's bytes and not of its characters", async () => {
  const text = "é€é\n\u{1F600}a".repeat(20); // 2 + 3 + 2 + 1 + 4 + 1 bytes, six tokens
  const config = resolveConfig("microgpt", { format: "text", num_steps: 2, val_fraction: 0.5 });
  const training = await Training.open({ config, documents: [text], device: "cpu" });
  for await (const event of training.run()) {
    if (event.type !== "eval") continue;
    // All but the first character of the half: 60 tokens of 130 bytes less one of 2.
    const expected = (event.val_loss * 59) / (Math.LN2 * 128);
    expect(event.bits_per_byte).toBeCloseTo(expected, 12);
  }
  training.close();
  expect.assertions(1);
});
