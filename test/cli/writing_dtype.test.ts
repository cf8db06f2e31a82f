// --dtype of the commands that write: what a GPU keeps weights, keys and values in.

import { expect, test } from "vitest";
import { main as chat } from "../../cli/chat.ts";
import { main as generate } from "../../cli/generate.ts";
import { main as serve } from "../../cli/serve.ts";
import { resolveConfig } from "../../src/config.ts";
import { saveModel } from "../../src/files/model_dir.node.ts";
import { ParameterLayout, dimsOf, initialParameters } from "../../src/model/parameters.ts";
import { PythonRandom } from "../../src/random.ts";
import { CharTokenizer } from "../../src/tokenizer/char.ts";
import { device } from "../harness/device.ts";
import { parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const tokenizer = new CharTokenizer([..."abcdefghij"]);
const config = resolveConfig("microgpt", { norm_gain: true, n_embd: 12, n_head: 3, init_std: 0.5 });
const dims = dimsOf(config, tokenizer.vocab_size);
const values = Float32Array.from(initialParameters(config, dims, new PythonRandom(1)));

/** For a saved model, three texts. */
function argvFor(...more: string[]): string[] {
  return argvOf(values, ...more);
}

function argvOf(values: Float32Array, ...more: string[]): string[] {
  const folder = temporaryFolder();
  saveModel(folder, { config, tokenizer, layout: new ParameterLayout(dims), values, step: 1 });
  return ["--model-dir", folder, "--num-samples", "3", "--json", ...more];
}

test("on the CPU there is no f16, and that is said", async () => {
  const { code, stderr } = await runCli(generate, argvFor("--device", "cpu", "--dtype", "f16"));
  expect(code).not.toBe(0);
  expect(stderr).toContain(
    "With dtype f16 a GPU keeps weights, keys and values in half precision, but the CPU writes in float64. Choose dtype f32.",
  );
});

test("auto says what it took and why", async () => {
  const { code, stderr } = await runCli(generate, argvFor("--device", "cpu", "--dtype", "auto"));
  expect([code, stderr]).toEqual([0, "dtype f32: the CPU writes in float64.\n"]);
});

test("the variable counts as the flag does, which wins", async () => {
  const env = { MICROGPT_DTYPE: "auto" };
  const told = async (...more: string[]) =>
    (await runCli(generate, argvFor("--device", "cpu", ...more), env)).stderr;
  expect(await told()).toBe("dtype f32: the CPU writes in float64.\n");
  expect(await told("--dtype", "f32")).toBe("");
});

test.skipIf(!device.features.includes("shader-f16"))("in f16 a GPU writes too", async () => {
  const written = async (dtype: string) => {
    const { stdout } = await runCli(generate, argvFor("--device", "webgpu", "--dtype", dtype));
    return parseLines(stdout).map(({ text }) => String(text));
  };
  const [half, whole] = [await written("f16"), await written("f32")];
  expect(half).toHaveLength(3);
  expect(half[0].slice(0, 2)).toBe(whole[0].slice(0, 2)); // nearly the same numbers
});

test.skipIf(!device.features.includes("shader-f16"))(
  "a weight that f16 has no number for is told, and auto leaves f16 alone",
  async () => {
    const { offset } = new ParameterLayout(dims).slice("layer0.mlp_fc1");
    const large = values.with(offset + 5, -65520);
    const of = (dtype: string) =>
      runCli(generate, argvOf(large, "--device", "webgpu", "--dtype", dtype));
    const { code, stderr } = await of("f16");
    const why = "layer0.mlp_fc1 has a weight of -65520, and half precision ends at 65504";
    expect([code === 0, stderr]).toEqual([false, expect.stringContaining(`but ${why}. Choose`)]);
    expect((await of("auto")).stderr).toContain(`dtype f32: ${why}.\n`);
  },
);

test("every command that writes has the flag", async () => {
  for (const main of [generate, chat, serve]) {
    const { stdout } = await runCli(main, ["--help"]);
    expect(stdout).toMatch(/--dtype NAME +what a GPU keeps weights, keys and values in/);
  }
  const { code, stderr } = await runCli(generate, argvFor("--dtype", "f64"));
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/--dtype is "f64"; it must be f32 or f16 or auto/);
});
