// The shapes that people train today, cut down, through the command line: the CPU and the GPU say the same.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { main as generate } from "../../cli/generate.ts";
import { main as train } from "../../cli/train.ts";
import { parseLines, runCli, temporaryFolder } from "./fake_io.ts";

const small =
  "--n-layer 2 --n-embd 16 --n-head 4 --block-size 12 --batch-size 2 --steps 6 --warmup-steps 2 --num-samples 0";
const shapes = {
  "size-tiny": `--preset size-tiny --n-kv-head 2 --head-dim 6 ${small}`,
  "qwen3-15m": `--preset qwen3-15m --n-kv-head 1 --head-dim 8 --mlp-hidden 20 ${small}`,
  "llama-15m": `--preset llama-15m --n-kv-head 2 --mlp-hidden 20 ${small}`,
  "nanochat-d6": `--preset nanochat-d6 ${small}`,
  shakespeare: `--preset shakespeare --grad-accumulation 2 ${small}`,
};

test.each(Object.entries(shapes))(
  "%s trains to the same losses and writes the same on both devices",
  async (_, flags) => {
    const folder = temporaryFolder();
    const input = join(folder, "text.txt");
    writeFileSync(input, "The quick brown fox jumps over the lazy dog.\n".repeat(20));
    const losses: number[][] = [];
    const texts: string[] = [];
    for (const device of ["cpu", "webgpu"]) {
      const output = join(folder, device);
      const argv = [...flags.split(" "), "--format", "text", "--tuning", "off", "--json"];
      const place = ["--input", input, "--device", device, "--output", output];
      const { code, stderr } = await runCli(train, [...argv, ...place]);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      const rows = parseLines(readFileSync(join(output, "metrics.jsonl"), "utf8"));
      losses.push(rows.filter(({ loss }) => loss !== undefined).map(({ loss }) => loss));
      const model = ["--model-dir", join(folder, "cpu"), "--device", device, "--num-samples", "2"];
      texts.push((await runCli(generate, [...model, "--json"])).stdout);
    }
    const [cpu, gpu] = losses;
    expect(cpu).toHaveLength(6);
    cpu.forEach((loss, i) => expect(Math.abs(loss - gpu[i])).toBeLessThan(1e-4));
    expect(parseLines(texts[0]).length).toBeGreaterThanOrEqual(2);
    expect(texts[1]).toEqual(texts[0]);
  },
);
