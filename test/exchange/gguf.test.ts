// GGUF: what is written is read by a parser that is not ours, and comes back as it was; what another wrote is the model
// that it should be.

import { gguf } from "@huggingface/gguf";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fromHalves, toHalves } from "../../src/device/half.ts";
import { exportGguf } from "../../src/exchange/gguf/export.ts";
import { encodeModel, type Model } from "../../src/files/model_files.ts";
import { dimsOf } from "../../src/model/parameters.ts";
import { ReferenceGpt } from "../../src/reference/gpt.ts";
import { error, modern } from "../harness/modern.ts";
import { gpt4, models, read, written } from "./gguf_models.ts";
import {
  bytesOf,
  type Field,
  type Golden,
  goldenGguf,
  keyU32,
  type Made,
  nameOf,
  turn,
  u32,
  u64,
} from "./make_gguf.ts";

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

describe("what other writers do is read the same way:", () => {
  const golden = () => goldenGguf("llama", modern[1].trace as object as Golden);
  const expected = read(bytesOf(golden()));

  test.each<[string, (made: Made) => void]>([
    ["version 2", (made) => void (made.head[0] = u32(2))],
    [
      "keys that have a usual value are left out",
      (made) => {
        const left = ["attention.key_length", "attention.value_length", "rope.freq_base"].map(
          (name) => `llama.${name}`,
        );
        made.keys = made.keys.filter((key) => !left.includes(nameOf(key)));
        made.head[2] = u64(made.keys.length);
      },
    ],
    [
      "keys that say nothing of the model",
      (made) =>
        void (made.head[2] = u64(
          made.keys.push(
            keyU32("general.quantization_version", 2),
            keyU32("llama.expert_count", 0),
            keyU32("llama.rope.dimension_count", 2),
          ),
        )),
    ],
    ["tensors in another order than their data", (made) => void made.tensors.reverse()],
  ])("%s", (_, change) => {
    const made = golden();
    change(made);
    const model = read(bytesOf(made));
    expect(model.values).toEqual(expected.values);
    expect(model.config).toEqual(expected.config);
  });

  test("tensors at multiples of 64 bytes", () => {
    const made = golden();
    made.head[2] = u64(made.keys.push(keyU32("general.alignment", 64)));
    repack(made, 64, 4, 0, (bytes) => bytes);
    expect(read(bytesOf(made, 64)).values).toEqual(expected.values);
  });

  test("bf16, which is the upper half of a float32", () => {
    const made = golden();
    repack(made, 32, 2, 30, (bytes) => bytes.filter((_, i) => i % 4 > 1));
    const bits = new Uint32Array(expected.values.slice().buffer).map((x) => x & 0xffff0000);
    expect(read(bytesOf(made)).values).toEqual(new Float32Array(bits.buffer));
  });
});

/** Tensors of f32 become others of `width` bytes a number, at other places. */
function repack(
  made: Made,
  alignment: number,
  width: number,
  type: number,
  change: (bytes: Uint8Array) => Uint8Array,
): void {
  const parts: number[] = [];
  const valueOf = (field: Field) => Number("bytes" in field ? 0 : field.value);
  made.tensors = made.tensors.map((tensor) => {
    const shape = tensor.slice(3, -2);
    const size = shape.reduce((size, field) => size * valueOf(field), 4);
    const from = valueOf(tensor.at(-1)!);
    const place = parts.length;
    const bytes = change(made.data.subarray(from, from + size));
    expect(bytes).toHaveLength((size / 4) * width);
    parts.push(...bytes);
    while (parts.length % alignment > 0) parts.push(0);
    return tensor.with(-2, u32(type)).with(-1, u64(place));
  });
  made.data = Uint8Array.from(parts);
}

test("the Modelfile has the layout of a chat, what ends an answer, and how tokens are drawn", () => {
  const [[, stream], , [, chat]] = models;
  const text = (model: Model) =>
    new TextDecoder().decode(exportGguf(model, { half: false }).files[1].bytes);
  expect(text(stream)).toBe(
    [
      "FROM ./model.gguf",
      'TEMPLATE """{{ .Prompt }}"""',
      "PARAMETER temperature 0.7",
      "PARAMETER top_k 0",
      "PARAMETER top_p 1",
      "PARAMETER min_p 0",
      "PARAMETER repeat_penalty 1",
      "PARAMETER num_ctx 16",
      "",
    ].join("\n"),
  );
  const careful = { ...stream, config: { ...stream.config, repetition_penalty: 1.1 } };
  expect(text(careful)).toContain("PARAMETER repeat_penalty 1.1\nPARAMETER repeat_last_n -1\n");
  const turn = (role: string) =>
    `{{ if eq .Role "${role}" }}<|${role}|>{{ .Content }}<|end_turn|>{{ end }}`;
  const turns = `{{ range .Messages }}${turn("user")}${turn("assistant")}{{ end }}<|assistant|>`;
  expect(text(chat)).toContain(`TEMPLATE """${turns}"""\nPARAMETER stop "<|end_turn|>"\n`);
});
