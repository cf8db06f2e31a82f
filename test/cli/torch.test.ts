// Runs of the command line have the losses that PyTorch has in float64: test/bench/torch.ts made them. From the text's order
// and the weights' draws to dropout, clipping, optimizer and schedule all is compared at once.

import { expect, test } from "vitest";
import { main as train } from "../../cli/train.ts";
import { parseLines, runCli, temporaryFolder } from "./fake_io.ts";
import golden from "../golden/torch.json" with { type: "json" };

test.each(golden)("$name", async ({ flags, losses }) => {
  const same = [
    "--tokenizer",
    "char",
    "--device",
    "cpu",
    "--eval-every",
    "0",
    "--num-samples",
    "0",
  ];
  const place = ["--output", temporaryFolder(), "--json", "--log-every", "1"];
  const { code, stdout, stderr } = await runCli(train, [...flags.split(" "), ...same, ...place]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const told = parseLines(stdout).filter(({ type }) => type === "step" || type === "eval");
  const found = told.map(({ loss, val_loss }) => loss ?? val_loss);
  expect(found).toHaveLength(losses.length);
  found.forEach((loss, i) => expect(Math.abs(loss - losses[i])).toBeLessThan(1e-11));
});
