// Certificates: what `doctor` remembers, what a memory that is wrong comes to, and what --dtype auto makes of it.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { main as bench } from "../cli/bench.ts";
import { main as info } from "../cli/info.ts";
import { loadModel } from "../src/files/model_dir.node.ts";
import { main as sweep } from "../cli/sweep.ts";
import { main as train } from "../cli/train.ts";
import { type ReadConfig, resolveConfig } from "../src/config.ts";
import {
  type Certificate,
  recallCertificate,
  rememberCertificate,
} from "../src/device/certificate.ts";
import type { Device } from "../src/device/device.ts";
import { Kernels } from "../src/device/kernels.ts";
import { dimsOf } from "../src/model/parameters.ts";
import { TokenStream } from "../src/text/stream.ts";
import { chooseDtype } from "../src/training/choose_dtype.ts";
import { chooseSmall } from "../src/training/choose_trainer.ts";
import { platform } from "../src/platform/platform.node.ts";
import type { CheckResult } from "../src/verify/certify.ts";
import { judgeDevice } from "../src/verify/verdict.ts";
import { runCli, parseLines } from "./cli/fake_io.ts";
import { device } from "./harness/device.ts";

let folder: string;
const file = () => join(folder, "certificates.json");
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "microgpt-certificates-"));
  vi.stubEnv("MICROGPT_CACHE_DIR", folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const half = ["shader-f16", "subgroups"];
/** The device with other properties than it has. */
const other = (properties: object): Device =>
  Object.create(
    device,
    Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, { value }])),
  );
/** It as one that can train with f16. */
const withHalf = (change: object = {}) =>
  other({
    name: "a GPU",
    features: half,
    info: { description: "a GPU: driver 1", ...change },
  });

const certificate: Certificate = { date: "2026-11-24", dtypes: ["f32", "f16"] };
const larger: ReadConfig = resolveConfig("microgpt", { dtype: "auto", n_embd: 64 });
const choose = (where: Device | undefined, config = larger) =>
  chooseDtype(where, config, undefined);
const uncertified = "f32: doctor has not certified f16 on a GPU; run npm run doctor";

test("auto is f16 where doctor has certified it, and f32 where it has not", async () => {
  const gpu = withHalf();
  expect(await choose(gpu)).toEqual({
    config: { ...larger, dtype: "f32" },
    dtype_reason: uncertified,
  });
  expect(await rememberCertificate(gpu, certificate)).toBeNull();
  expect(await choose(gpu)).toEqual({
    config: { ...larger, dtype: "f16" },
    dtype_reason: "f16: doctor certified it for a GPU on 2026-11-24",
  });
  await rememberCertificate(gpu, { ...certificate, dtypes: ["f32"] });
  expect((await choose(gpu)).dtype_reason).toBe(uncertified);
});

test("auto is f32 whatever is certified: on the CPU, without shader-f16, and for small models", async () => {
  const gpu = withHalf();
  const plain = other({ name: "a GPU", features: [] });
  for (const where of [gpu, plain]) await rememberCertificate(where, certificate);
  expect((await choose(undefined)).dtype_reason).toBe("f32: the CPU trains in float64");
  expect((await choose(plain)).dtype_reason).toBe(
    "f32: a GPU does not offer f16 to WebGPU (shader-f16)",
  );
  const config = resolveConfig("microgpt", { dtype: "auto" });
  const dims = dimsOf(config, 5);
  const small = chooseSmall(device, config, dims, [Int32Array.of(4, 1, 2, 4)]);
  expect(await chooseDtype(gpu, config, small)).toEqual({
    config: resolveConfig("microgpt"),
    dtype_reason: "f32: a model as small as this has a kernel of its own, in f32",
  });
  const stream = new TokenStream(new Int32Array(50), config);
  expect(chooseSmall(device, config, dims, stream)).toBeUndefined();
});

test("what the user chose stays as it is, without a reason", async () => {
  await rememberCertificate(withHalf(), certificate);
  for (const dtype of ["f32", "f16"] as const) {
    const config = resolveConfig("microgpt", { dtype });
    expect(await choose(withHalf(), config)).toEqual({ config, dtype_reason: null });
  }
});

test("a certificate is of one driver, set of features, WebGPU, package and kernels' text", async () => {
  const gpu = withHalf();
  await rememberCertificate(gpu, certificate);
  expect(await recallCertificate(withHalf())).toEqual(certificate);
  expect(await recallCertificate(withHalf({ description: "a GPU: driver 2" }))).toBeUndefined();
  expect(await recallCertificate(device)).toBeUndefined();
  const features = [...half, "timestamp-query"];
  expect(await recallCertificate(Object.create(gpu, { features: { value: features } }))).toBe(
    undefined,
  );
  const shaders = platform.shaders();
  for (const file of ["adamw", "pieces/step"]) {
    const changed = new Kernels(device.gpu, { ...shaders, [file]: `${shaders[file]}// changed` });
    expect(await recallCertificate(Object.create(gpu, { kernels: { value: changed } }))).toBe(
      undefined,
    );
  }
  for (const versions of [{ engine: "99.0.0" }, { webgpu: "Dawn 99" }]) {
    const before = platform.versions();
    const spy = vi.spyOn(platform, "versions").mockReturnValue({ ...before, ...versions });
    expect(await recallCertificate(gpu)).toBeUndefined();
    spy.mockRestore();
  }
  expect(await recallCertificate(gpu)).toEqual(certificate);
});

const damaged: [string, (text: string) => string][] = [
  ["empty", () => ""],
  ["cut off", (text) => text.slice(0, -9)],
  ["another format", (text) => text.replace('"format": 1', '"format": 2')],
  ["a list", () => `[1]`],
  ["no adapters", () => `{"format": 1, "adapters": null}`],
  ["no record", (text) => text.replace(/: \{\n {3}"date.*\}\n \}/s, ": 7}")],
  ["a date that is none", (text) => text.replace("2026-11-24", "\\u001b[31m")],
  ["no dtypes", (text) => text.replace("dtypes", "types")],
  ["unknown dtypes", (text) => text.replace('"f16"', '"f8"')],
  ["other kernels", (text) => text.replace("; kernels ", "; kernels 0")],
  ["a prototype", () => `{"format": 1, "adapters": {"__proto__": ${JSON.stringify(certificate)}}}`],
];

test.each(damaged)("a memory that is damaged or stale certifies nothing: %s", async (_, damage) => {
  const gpu = withHalf();
  await rememberCertificate(gpu, certificate);
  const text = readFileSync(file(), "utf8");
  expect(damage(text)).not.toBe(text);
  writeFileSync(file(), damage(text));
  expect((await choose(gpu)).dtype_reason).toBe(uncertified);
  expect(await rememberCertificate(gpu, certificate)).toBeNull(); // it is mended
  expect(await recallCertificate(gpu)).toEqual(certificate);
});

const check = (pass: boolean, dtype?: CheckResult["dtype"]): CheckResult => {
  const [error, allowed] = [pass ? 0 : 1, 0.5];
  return { type: "check", kernel: "gradients", case: "C 3", error, allowed, pass, dtype };
};

/** A run of doctor, and what auto is after it. */
async function run(results: CheckResult[], complete = true) {
  const gpu = withHalf();
  const checks = (async function* () {
    yield* results;
  })();
  const verdict = await judgeDevice(gpu, checks, complete, () => {});
  return { ...verdict, auto: (await choose(gpu)).config.dtype };
}

test("all checks passed certify the dtypes that were among them", async () => {
  const passed = [check(true), check(true, "f32"), check(true, "f16"), check(true, "f32")];
  const both = await run(passed);
  expect(both).toMatchObject({ passed: 4, failed: 0, memory: "remembered", auto: "f16" });
  expect(both.certificate!.dtypes).toEqual(["f32", "f16"]);
  expect(await run(passed.slice(0, 2))).toMatchObject({ memory: "remembered", auto: "f32" });
});

test("a part of the checks changes nothing, unless one fails", async () => {
  const f16 = check(true, "f16");
  const nothing = { certificate: null, memory: "unchanged", failure: null };
  expect(await run([f16], false)).toMatchObject({ ...nothing, auto: "f32" });
  expect(await run([])).toMatchObject({ ...nothing, auto: "f32" });
  await run([f16]);
  expect(await run([f16], false)).toMatchObject({ ...nothing, auto: "f16" });
  expect(await run([check(false)], false)).toMatchObject({ memory: "removed", auto: "f32" });
});

test("a check that fails removes the earlier certificate, and so does a device that fails", async () => {
  await rememberCertificate(device, certificate);
  const f16 = check(true, "f16");
  await run([f16]);
  const failed = await run([f16, check(false), f16]);
  expect(failed).toMatchObject({ passed: 2, failed: 1, certificate: null, memory: "removed" });
  expect(failed.auto).toBe("f32");
  expect(await run([check(false)])).toMatchObject({ memory: "unchanged" }); // there is none
  expect(await recallCertificate(device)).toEqual(certificate); // another device's

  await run([f16]);
  const lost = (async function* () {
    yield f16;
    throw new Error("lost");
  })();
  await expect(judgeDevice(withHalf(), lost, true, () => {})).rejects.toThrow("lost");
  expect((await choose(withHalf())).config.dtype).toBe("f32");
});

test("where nothing can be remembered, the reason is told", async () => {
  mkdirSync(file()); // a folder in the file's place
  const { memory, failure, auto } = await run([check(true, "f16")]);
  expect({ memory, auto }).toEqual({ memory: "unchanged", auto: "f32" });
  expect(failure).toMatch(/certificates\.json/);
  expect(readdirSync(folder)).toEqual(["certificates.json"]); // and no draft of it
});

test.each<[string, () => string]>([
  ["a file", () => (writeFileSync(file(), ""), join(file(), "x"))],
  // Node's own mkdir would try there without end.
  ...(existsSync("/proc/self")
    ? [["/proc", () => "/proc/microgpt"] as [string, () => string]]
    : []),
])("nor in a folder that cannot be made, as in %s", async (_, place) => {
  vi.stubEnv("MICROGPT_CACHE_DIR", place());
  const { memory, failure } = await run([check(true, "f16")]);
  expect(memory).toBe("unchanged");
  expect(failure).toMatch(/^E(NOTDIR|NOENT)/);
});

/** Of the general trainer, and quickly trained. */
const quick = ["--device", "webgpu", "--format", "text", "--steps", "2", "--n-embd", "8"];

test("train tells which dtype auto is, and saves the model with that", async () => {
  const output = join(folder, "model");
  const argv = [...quick, "--dtype", "auto", "--output", output];
  const [start] = parseLines((await runCli(train, [...argv, "--json"])).stdout);
  expect(start.config.dtype).toBe("f32");
  expect(start.dtype_reason).toMatch(
    /^f32: (doctor has not certified f16 on|.* does not offer f16)/,
  );
  expect(loadModel(output).config.dtype).toBe("f32");
  expect(readFileSync(join(output, "config.json"), "utf8")).toContain(`"dtype": "f32"`);
  const { stdout } = await runCli(train, argv);
  expect(stdout).toContain(`\ndtype   ${start.dtype_reason}\n`);
  const plain = await runCli(train, [...quick, "--output", output]);
  expect(plain.stdout).not.toMatch(/^dtype/m);
});

test.each(device.features.includes("shader-f16") ? ["f16"] : [])(
  "with a certificate train trains with %s, and the model's file says so",
  async (dtype) => {
    await rememberCertificate(device, certificate);
    const output = join(folder, "model");
    const { code, stdout } = await runCli(train, [...quick, "--dtype", "auto", "--output", output]);
    expect(code).toBe(0);
    expect(stdout).toContain(
      `\ndtype   ${dtype}: doctor certified it for ${device.name} on 2026-11-24\n`,
    );
    expect(loadModel(output).config.dtype).toBe(dtype);
  },
);

test("sweep chooses the dtype model by model, and tells each reason once", async () => {
  const argv = ["--steps", "2", "--dtype", "f32,auto", "--n-layer", "1,2", "--seed", "1,2"];
  const output = join(folder, "best");
  const sizes = ["--n-embd", "8", "--n-head", "2", "--block-size", "4"];
  const { code, stdout } = await runCli(sweep, [...argv, ...sizes, "--json", "--output", output]);
  expect(code).toBe(0);
  const [start, ...events] = parseLines(stdout);
  expect(start.dtype_reasons).toHaveLength(1);
  expect(start.dtype_reasons[0]).toMatch(/^f32: /);
  const models = events.filter(({ type }) => type === "model");
  expect(models).toHaveLength(8);
  for (const { settings } of models) expect(settings.dtype).toBe("f32");
  expect(loadModel(output).config.dtype).toBe("f32");
});

test("bench tells what auto is here", async () => {
  const argv = ["--preset", "tiny", "--steps", "2", "--warmup", "1", "--dtype", "auto"];
  const [line] = parseLines((await runCli(bench, [...argv, "--json"])).stdout);
  expect(line).toMatchObject({ dtype: "f32", dtype_reason: expect.stringMatching(/^f32: /) });
  const { stdout } = await runCli(bench, [...argv, "--device", "cpu"]);
  expect(stdout).toMatch(/^dtype {7}f32: the CPU trains in float64$/m);
});

test("info tells what auto is here", async () => {
  const reason = /^f32: (doctor has not certified|.* does not offer f16)/;
  const argv = ["--dtype", "auto", "--format", "text"];
  const [run] = parseLines((await runCli(info, [...argv, "--json"])).stdout);
  expect(run).toMatchObject({ config: { dtype: "f32" }, dtype_reason: expect.any(String) });
  expect(run.dtype_reason).toMatch(reason);
  const { stdout } = await runCli(info, argv);
  expect(stdout).toContain(`\ndtype      ${run.dtype_reason}\n`);
  expect(stdout).toMatch(/^ {2}dtype +f32 +of what matrix products read/m);
});

test("the versions are this package's and Dawn's", async () => {
  const { engine, webgpu } = platform.versions();
  expect(engine).toMatch(/^\d+\.\d+\.\d+$/);
  expect(webgpu).toMatch(/^Dawn \d+\.\d+\.\d+$/);
});
