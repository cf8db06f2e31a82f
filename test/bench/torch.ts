// Compares runs of the command line with PyTorch's in float64, loss by loss, on the CPU and on WebGPU: models of each
// shape, each optimizer and each schedule.
//
//   node test/bench/torch.ts --names names.txt --stream shakespeare.txt
//   node test/bench/torch.ts --names names.txt --only 'llama|qwen3' --devices cpu
//   node test/bench/torch.ts --names src/text/names.txt --only ', muon|llama, adamw|gelu, sgd' --golden test/golden/torch.json
//
// --names is a text of a document a line, --stream one text; without one of them its runs are left out. --python is a
// Python that has PyTorch and NumPy: torch_twin.py has the model, written anew. --golden writes PyTorch's losses into a
// file, as test/cli/torch.test.ts reads them.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { execute, jsonLines, lastWords, own, root, table } from "./contest.ts";

const { values } = parseArgs({
  options: {
    names: { type: "string" },
    stream: { type: "string" },
    devices: { type: "string", default: "cpu,webgpu" },
    only: { type: "string", default: "" }, // a regular expression for the names of runs
    golden: { type: "string" },
    python: { type: "string", default: "python3" },
  },
});
const devices = values.devices.split(",");

/** Largest difference of any loss. */
const ALLOWED: Record<string, number> = { cpu: 1e-9, webgpu: 1e-4 };

interface Run {
  name: string;
  input: string | undefined;
  flags: string;
  /** Flags of a run of adapters that starts from the model which the others make; it is the one that is compared. */
  adapters?: string;
}

const sizes = "--n-layer 2 --n-embd 24 --n-head 4 --block-size 12 --warmup-steps 5 --steps 40";
const shapes = {
  microgpt: "--steps 40",
  "microgpt-cosine": "--preset microgpt-cosine --steps 40",
  gelu: `${sizes} --activation gelu`,
  llama: `--preset llama-15m ${sizes} --n-kv-head 2 --mlp-hidden 40`,
  qwen3: `--preset qwen3-15m ${sizes} --n-kv-head 2 --head-dim 10 --mlp-hidden 40`,
  nanochat: `--preset nanochat-d6 ${sizes}`,
  "nanochat, tied, softcap 2": `--preset nanochat-d6 ${sizes} --tie-embeddings --logit-softcap 2`,
  shakespeare: `--preset shakespeare ${sizes} --val-fraction 0.002`,
};
const optimizers = ["adamw", "muon", "sgd"];
const schedules = ["constant", "linear", "cosine", "wsd"];

const onNames = (name: string, flags: string): Run => ({ name, input: values.names, flags });

const adapters: Run[] = [
  ["llama", "--lora-rank 4"],
  [
    "qwen3",
    "--lora-rank 3 --lora-alpha 5 --lora-targets q,v,down --weight-decay 0.1 --grad-clip 0.5",
  ],
  ["gelu", "--lora-rank 4 --lora-targets mlp --dropout 0.2 --optimizer muon"],
  ["microgpt", "--lora-rank 2 --optimizer sgd --lr 0.05 --batch-size 4 --grad-accumulation 2"],
].map(([shape, adapters]) => {
  const flags = `${shapes[shape as keyof typeof shapes]} --batch-size 8`;
  return { ...onNames(`${shape}, ${adapters.replaceAll("--", "")}`, flags), adapters };
});

const runs: Run[] = [
  ...adapters,
  ...Object.entries(shapes).flatMap(([shape, flags]) => [
    ...[8, 16].map((batch) =>
      onNames(`${shape}, batch ${batch}`, `${flags} --batch-size ${batch}`),
    ),
    ...optimizers.map((optimizer) =>
      onNames(
        `${shape}, ${optimizer}, decay, clipped, dropout`,
        `${flags} --optimizer ${optimizer} --lr 0.005 --weight-decay 0.1 --grad-clip 0.7 --dropout 0.2 --batch-size 8`,
      ),
    ),
  ]),
  onNames("llama, recompute, dropout", `${shapes.llama} --recompute --dropout 0.2 --batch-size 8`),
  ...schedules.map((schedule) =>
    onNames(
      `microgpt, ${schedule} from a warm-up to a tenth`,
      `--lr-schedule ${schedule} --warmup-steps 7 --final-lr-fraction 0.1 --decay-fraction 0.4 --batch-size 8 --steps 40`,
    ),
  ),
  ...["--batch-size 32", "--batch-size 8 --grad-accumulation 4"].map((batch) =>
    onNames(
      `qwen3, dropout, ${batch.replaceAll("--", "")}`,
      `${shapes.qwen3} --dropout 0.1 ${batch}`,
    ),
  ),
  {
    name: "shakespeare on a stream, 2 layers, 64 channels, context 64, 300 steps of 16 windows",
    input: values.stream,
    flags:
      "--preset shakespeare --n-layer 2 --n-embd 64 --n-head 4 --block-size 64 --batch-size 16 --steps 300",
  },
];

/** The losses of every step and, where something is held out, of the validation at the end. */
async function lossesOf(command: string[]): Promise<{ losses: number[]; config: object }> {
  const { code, stdout, stderr } = await execute({ name: command[0], command }, { seconds: 3600 });
  if (code !== 0) {
    throw new Error(`${command.join(" ")}: ${lastWords(stderr) ?? `exit code ${code}`}`);
  }
  const lines = jsonLines(stdout);
  const told = lines.filter(({ type }) => type === "step" || type === "eval");
  const losses = told.map(({ loss, val_loss }) => loss ?? val_loss);
  return { losses, config: lines[0].config };
}

const folder = mkdtempSync(join(tmpdir(), "torch-"));
const rows = [
  ["run", "PyTorch's losses", ...devices],
  ["---", "--:", ...devices.map(() => "--:")],
];
const golden: object[] = [];
try {
  for (const { name, input, flags, adapters } of runs) {
    if (input === undefined || !new RegExp(values.only).test(name)) continue;
    const text = ["--input", resolve(input)];
    const config = join(folder, "config.json");
    let expected: number[] | undefined;
    const cells: string[] = [];
    for (const device of devices) {
      const output = ["--output", join(folder, "output"), "--overwrite", "--json"];
      const every = ["--log-every", "1", "--eval-every", "0", "--num-samples", "0"];
      const same = ["--tokenizer", "char", "--val-split", "end"]; // as the twin reads a text
      const where = ["--device", device, "--tuning", "off"];
      const train = (...flags: string[]) =>
        lossesOf(own("train", ...flags, ...text, ...same, ...where, ...every, ...output));
      let ours = await train(...flags.split(" "));
      if (adapters) ours = await train("--init-from", output[1], ...adapters.split(" "));
      if (expected === undefined) {
        writeFileSync(config, JSON.stringify(ours.config));
        const twin = join(root, "test/bench/torch_twin.py");
        const base = adapters ? ["--base", join(output[1], "base.safetensors")] : [];
        const command = [values.python, twin, "--config", config, ...text, ...base];
        expected = (await lossesOf(command)).losses;
      }
      const off = largestDifference(ours.losses, expected);
      const good = off < ALLOWED[device];
      cells.push(good ? off.toExponential(1) : `**${off.toExponential(1)}**`);
      if (!good) process.exitCode = 1;
    }
    const reached = [expected![0], expected!.at(-1)!].map((loss) => loss.toFixed(4)).join(" to ");
    rows.push([name, reached, ...cells]);
    golden.push({ name, flags, losses: expected });
    console.error(rows.at(-1)!.join("  "));
  }
} finally {
  rmSync(folder, { recursive: true });
}
console.log(table(rows));
if (values.golden !== undefined) {
  const lines = golden.map((run) => JSON.stringify(run)).join(",\n");
  writeFileSync(values.golden, `[\n${lines}\n]\n`);
}

/** NaN where there are not as many of both. */
function largestDifference(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return NaN;
  return Math.max(...a.map((value, i) => Math.abs(value - b[i])));
}
