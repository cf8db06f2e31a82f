// GGUF: what is written is read by a parser that is not ours, and comes back as it was; what another wrote is the model
// that it should be.

import { gguf } from "@huggingface/gguf";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fromHalves, toHalves } from "../../src/device/half.ts";
import { encodeModel } from "../../src/files/model_files.ts";
import { dimsOf } from "../../src/model/parameters.ts";
import { ReferenceGpt } from "../../src/reference/gpt.ts";
import { error, modern } from "../harness/modern.ts";
import { gpt4, models, read, written } from "./gguf_models.ts";
import { bytesOf, type Golden, goldenGguf, turn } from "./make_gguf.ts";

describe.each(models)("%s", (_, model) => {
  const { config, tokenizer, layout } = model;
  const dims = dimsOf(config, tokenizer.vocab_size);
  const arch = config.qk_norm ? "qwen3" : "llama";

  test("a parser that is not ours reads what was written, key by key and tensor by tensor", async () => {
    const { metadata, typedMetadata, tensorInfos, tensorDataOffset } = await parse(written(model));
    expect(metadata).toMatchObject({
      version: 3,
      tensor_count: BigInt(layout.slices.length),
      "general.architecture": arch,
      "general.file_type": 0,
      [`${arch}.block_count`]: 2,
      [`${arch}.context_length`]: 16,
      [`${arch}.embedding_length`]: 16,
      [`${arch}.feed_forward_length`]: dims.H,
      [`${arch}.attention.head_count`]: 4,
      [`${arch}.attention.head_count_kv`]: 2,
      [`${arch}.attention.key_length`]: dims.HS,
      [`${arch}.attention.value_length`]: dims.HS,
      [`${arch}.attention.layer_norm_rms_epsilon`]: Math.fround(1e-6),
      [`${arch}.rope.freq_base`]: Math.fround(12_345.6),
      [`${arch}.rope.dimension_count`]: dims.HS,
      [`${arch}.vocab_size`]: dims.V,
      "tokenizer.ggml.model": "gpt2",
      "tokenizer.ggml.pre": tokenizer === gpt4 ? "dbrx" : "gpt-2",
      "tokenizer.ggml.bos_token_id": tokenizer.bos,
      "tokenizer.ggml.eos_token_id": tokenizer.bos,
      "tokenizer.ggml.add_bos_token": config.format !== "text",
    });
    expect(metadata).toHaveProperty(["tokenizer.ggml.tokens", "length"], dims.V);
    expect(typedMetadata["tokenizer.ggml.token_type"]).toMatchObject({ type: 9, subType: 5 });
    const types = typedMetadata["tokenizer.ggml.token_type"].value as number[];
    const special = types.flatMap((type, id) => (type === 3 ? [id] : []));
    expect(special).toEqual([...tokenizer.special.values()]);
    expect("tokenizer.chat_template" in metadata).toBe(config.format === "chat");

    expect(tensorInfos).toHaveLength(layout.slices.length);
    const bytes = written(model);
    tensorInfos.forEach(({ dtype, shape, offset, name }, i) => {
      const slice = layout.slices[i];
      expect(shape.map(Number).toReversed()).toEqual([...slice.shape]);
      expect([dtype, Number(offset) % 32]).toEqual([0, 0]);
      const from = Number(tensorDataOffset + offset);
      const floats = [...new Float32Array(bytes.slice(from, from + 4 * slice.size).buffer)];
      const own = [...model.values.subarray(slice.offset, slice.offset + slice.size)];
      const heads = arch === "llama" ? { attn_q: 4, attn_k: 2 }[name.split(".")[2]] : undefined;
      expect(floats).toEqual(heads === undefined ? own : turn(own, heads, dims.HS));
    });
  });

  test("comes back bit for bit, tokenizer and settings with it", () => {
    const again = read(written(model));
    expect(encodeModel(again).map(({ bytes }) => bytes)).toEqual(
      encodeModel(model).map(({ bytes }) => bytes),
    );
    expect(again.tokenizer.constructor).toBe(tokenizer.constructor);
    expect(written(again)).toEqual(written(model));
  });

  test("in f16, its matrices come back as the next f16, and its gains as they were", () => {
    const again = read(written(model, true));
    for (const { name, shape, offset, size } of layout.slices) {
      const own = model.values.subarray(offset, offset + size);
      const expected = shape.length === 1 ? own : fromHalves(toHalves(own));
      expect({ name, values: again.values.slice(offset, offset + size) }).toEqual({
        name,
        values: expected,
      });
    }
  });
});

/** By the oracle, which wants a file. */
async function parse(bytes: Uint8Array) {
  const folder = mkdtempSync(join(tmpdir(), "gguf-"));
  try {
    const path = join(folder, "model.gguf");
    writeFileSync(path, bytes);
    return await gguf(path, { allowLocalFile: true, typedMetadata: true });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test.each([
  ["llama", modern[1]],
  ["qwen3", modern[2]],
])("a file by another's hand evaluates to the oracle's logits: %s", (arch, { trace, batch }) => {
  const { config, layout, values, tokenizer } = read(
    bytesOf(goldenGguf(arch, trace as object as Golden)),
  );
  expect([...tokenizer.special]).toEqual([["bos", 10]]);
  const gpt = new ReferenceGpt(config, layout.dims, Float64Array.from(values));
  const first = gpt.forward(batch).slice(0, trace.logits_first_row.length);
  expect(error(first, trace.logits_first_row)).toBeLessThan(1e-5);
});
