// A model in one file, whatever its name: what the page opens.

import { expect, test } from "vitest";
import { resolveConfig } from "../src/config.ts";
import { encodeCheckpoint } from "../src/files/checkpoint.ts";
import { decodeModelFile, encodeModel } from "../src/files/model_files.ts";
import { decodeSafetensors, encodeSafetensors } from "../src/files/safetensors.ts";
import { Training } from "../src/training/train.ts";

test("the file alone is the model; a run to resume, or bare weights, are told by the file's name", async () => {
  const config = resolveConfig("microgpt", { num_steps: 2, n_embd: 8 });
  const training = await Training.open({ config, documents: ["anna", "otto"], device: "cpu" });
  for await (const _ of training.steps());
  const model = await training.model();
  const [{ bytes }] = encodeModel(model);
  const read = decodeModelFile(bytes, "mine.safetensors");
  expect(read.step).toBe(2);
  expect(read.config).toEqual(model.config);
  expect(read.tokenizer.toJSON()).toEqual(model.tokenizer.toJSON());
  expect([...read.values]).toEqual([...Float32Array.from(model.values)]);

  const run = encodeCheckpoint(await training.checkpoint());
  training.close();
  expect(() => decodeModelFile(run.bytes, "training.safetensors")).toThrow(
    "training.safetensors holds a run to resume, not a model; open the model.safetensors that lies beside it.",
  );
  const { tensors } = decodeSafetensors(bytes, "x");
  const bare = encodeSafetensors(
    tensors.map(({ name, shape, data }) => ({
      name,
      shape,
      values: new Float32Array(data.slice().buffer),
    })),
  );
  expect(() => decodeModelFile(bare, "bare.safetensors")).toThrow(/^config\.json is missing, and /);
  expect(() => decodeModelFile(bytes.subarray(0, 400), "cut.safetensors")).toThrow(
    /^cut\.safetensors is not a safetensors file that can be used: /,
  );
});
