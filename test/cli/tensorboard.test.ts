// TensorBoard's event files: checksums and frames by hand, and what a run writes, read by a parser of its own.

import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { crc32c, frame, scalarsEvent, startEvent, versionEvent } from "../../cli/event_file.ts";
import { TensorBoard } from "../../cli/tensorboard.ts";
import { main as train } from "../../cli/train.ts";
import { parseLines, runCli, temporaryFolder } from "./fake_io.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const ascii = (text: string) => new TextEncoder().encode(text);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

test("checksums are those of CRC32C's published vectors", () => {
  expect(crc32c(ascii("123456789"))).toBe(0xe3069283);
  // Of RFC 3720.
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i))).toBe(0x113fdb5c);
});

/** A checksum as a record has it, from its definition. */
function masked(crc: number): string {
  const turned = (BigInt(crc) >> 15n) | ((BigInt(crc) << 17n) & 0xffffffffn);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(Number((turned + 0xa282ead8n) & 0xffffffffn));
  return bytes.toString("hex");
}

test("a record is length, checksum, message, checksum", () => {
  const length = "0900000000000000";
  const crcOfLength = masked(bitwise(Buffer.from(length, "hex")));
  // 0xe3069283 turned right by 15 is 0x2507c60d; with the constant 0xc78ab0e5.
  expect(hex(frame(ascii("123456789")))).toBe(
    length + crcOfLength + hex(ascii("123456789")) + "e5b08ac7",
  );
});

/** CRC32C bit by bit, without a table. */
function bitwise(bytes: Uint8Array): number {
  let crc = 0xffffffffn;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const out = (crc ^ (BigInt(byte) >> BigInt(bit))) & 1n;
      crc = (crc >> 1n) ^ (out ? 0x82f63b78n : 0n);
    }
  }
  return Number(crc ^ 0xffffffffn);
}

test("an event is the bytes that its definition gives", () => {
  const message = (record: Uint8Array) => hex(record.subarray(12, record.length - 4));
  // 1.5 as a double, and step 0.
  expect(message(versionEvent(1.5))).toBe(
    "09" + "000000000000f83f" + "1000" + "1a0d" + hex(ascii("brain.Event:2")),
  );
  // Step 300 is ac 02 in parts of seven bits.
  expect(message(startEvent(1.5, 300))).toBe(
    "09" + "000000000000f83f" + "10ac02" + "3a02" + "0801",
  );
  expect(message(scalarsEvent(1.5, 1, { ab: 0.5, c: -2 }))).toBe(
    "09" +
      "000000000000f83f" +
      "1001" +
      "2a15" +
      "0a09" +
      "0a02" +
      hex(ascii("ab")) +
      "15" +
      "0000003f" +
      "0a08" +
      "0a01" +
      hex(ascii("c")) +
      "15" +
      "000000c0",
  );
  // A step beyond 32 bits.
  expect(message(startEvent(1.5, 2 ** 40))).toContain("10" + "808080808020");
});

interface Read {
  wall_time: number;
  step: number;
  version?: string;
  status?: number;
  scalars: Record<string, number>;
}

/** Every event of a file, its checksums compared; what is cut off at its end is left out. */
function eventsOf(bytes: Buffer): Read[] {
  const events: Read[] = [];
  let at = 0;
  while (at + 12 <= bytes.length) {
    const length = Number(bytes.readBigUInt64LE(at));
    if (at + 16 + length > bytes.length) break;
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(hex(bytes.subarray(at + 8, at + 12))).toBe(masked(bitwise(bytes.subarray(at, at + 8))));
    expect(hex(bytes.subarray(at + 12 + length, at + 16 + length))).toBe(masked(bitwise(data)));
    events.push(eventIn(data));
    at += 16 + length;
  }
  return events;
}

type Field = [field: number, value: number | Buffer];

function* fieldsIn(bytes: Buffer): Generator<Field> {
  let at = 0;
  const varint = () => {
    for (let value = 0, factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const [field, type] = [key >> 3, key & 7];
    const size = type === 0 ? 0 : type === 1 ? 8 : type === 5 ? 4 : varint();
    yield [field, type === 0 ? varint() : bytes.subarray(at, at + size)];
    at += size;
  }
}

function eventIn(bytes: Buffer): Read {
  const event: Read = { wall_time: NaN, step: 0, scalars: {} };
  for (const [field, value] of fieldsIn(bytes)) {
    if (field === 1) event.wall_time = (value as Buffer).readDoubleLE();
    else if (field === 2) event.step = value as number;
    else if (field === 3) event.version = String(value);
    else if (field === 7) event.status = [...fieldsIn(value as Buffer)][0][1] as number;
    else {
      for (const [, part] of fieldsIn(value as Buffer)) {
        const { 1: tag, 2: number } = Object.fromEntries(fieldsIn(part as Buffer));
        event.scalars[String(tag)] = (number as Buffer).readFloatLE();
      }
    }
  }
  return event;
}

const filesIn = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.includes("tfevents"))
    .sort();
const read = (folder: string) =>
  filesIn(folder).map((name) => eventsOf(readFileSync(join(folder, name))));

const quick = ["--device", "cpu", "--num-samples", "1", "--n-embd", "4", "--n-head", "1", "--json"];
const argv = [...quick, "--val-fraction", "0.01", "--eval-every", "3", "--log-every", "1"];

test("a run writes each step and validation, as metrics.jsonl has them", async () => {
  const output = temporaryFolder();
  const from = Date.now() / 1000;
  const args = [...argv, "--steps", "7", "--output", output];
  await runCli(train, [...args, "--tensorboard"]);
  const [[version, ...events]] = read(output);
  expect(version).toMatchObject({ version: "brain.Event:2", step: 0, scalars: {} });
  const lines = parseLines(readFileSync(join(output, "metrics.jsonl"), "utf8"));
  expect(events).toHaveLength(10);
  events.forEach(({ step, wall_time, scalars }, i) => {
    const { type, loss, lr, grad_norm, val_loss, bits_per_byte, step: expected } = lines[i];
    expect(step).toBe(expected);
    expect(wall_time).toBeGreaterThanOrEqual(from);
    delete scalars["train/tokens_per_s"];
    const wanted: Record<string, number> =
      type === "eval"
        ? { "val/loss": val_loss, "val/bits_per_byte": bits_per_byte }
        : { "train/loss": loss, "train/lr": lr, "train/grad_norm": grad_norm };
    expect(scalars).toEqual(
      Object.fromEntries(Object.entries(wanted).map(([tag, x]) => [tag, Math.fround(x)])),
    );
  });
  // Not asked for, there are none.
  const without = temporaryFolder();
  await runCli(train, [...args, "--output", without]);
  expect(filesIn(without)).toEqual([]);
});

/** What TensorBoard shows of some files: where one says that a run goes on, later steps of those before go. */
function shown(files: Read[][]): Read[] {
  let events: Read[] = [];
  for (const file of files) {
    for (const event of file) {
      if (event.status === 1) events = events.filter(({ step }) => step < event.step);
      else if (event.version === undefined) events.push(event);
    }
  }
  return events;
}

test("a run that goes on, killed or not, has every step once, in a file of its own", async () => {
  const whole = temporaryFolder();
  const args = [...argv, "--lr-schedule", "constant", "--steps", "8"];
  await runCli(train, [...args, "--tensorboard", "--output", whole]);
  const numbers = (events: Read[]) =>
    events.map(({ step, scalars }) => [step, { ...scalars, "train/tokens_per_s": null }]);

  const output = temporaryFolder();
  await runCli(train, [...args, "--tensorboard", "--output", output, "--steps", "4"]);
  // Of steps that no save has, as a process that is killed leaves them, the last one cut.
  const [first] = filesIn(output);
  const path = join(output, first);
  const lost = [5, 6].map((step) => scalarsEvent(1, step, { "train/loss": 99 }));
  writeFileSync(path, Buffer.concat([readFileSync(path), ...lost]));
  truncateSync(path, readFileSync(path).length - 3);
  await runCli(train, ["--resume", "--output", output, "--steps", "8", "--json"]);
  expect(filesIn(output)).toHaveLength(2);
  const [, [version, start]] = read(output);
  expect(version.version).toBe("brain.Event:2");
  expect(start).toMatchObject({ step: 5, status: 1 });
  // The validation after step 4 is of a run that ended there; the whole one has none.
  const ended = (row: Read) => row.step === 4 && "val/loss" in row.scalars;
  expect(shown(read(output)).filter(ended)).toHaveLength(1);
  expect(numbers(shown(read(output)).filter((row) => !ended(row)))).toEqual(
    numbers(shown(read(whole))),
  );
});

test("a new run in the folder takes the old files away, or aside", async () => {
  const output = temporaryFolder();
  const args = [...argv, "--steps", "2", "--output", output, "--tensorboard"];
  await runCli(train, args);
  const [name] = filesIn(output);
  await runCli(train, args);
  expect(filesIn(join(output, "earlier-1"))).toEqual([name]);
  expect(filesIn(output)).toHaveLength(1);
  await runCli(train, [...args, "--overwrite"]);
  expect(filesIn(output)).toHaveLength(1);
  expect(read(output)[0].map(({ step }) => step)).toEqual([0, 1, 2, 2]);
});

test("the speed is told once a second, and a file that is removed begins anew, by its version", () => {
  const folder = temporaryFolder();
  const clock = vi.spyOn(performance, "now").mockReturnValue(0);
  const board = new TensorBoard(folder, undefined, () => {});
  const stepOf = (step: number) =>
    ({ type: "step", step, loss: 1, lr: 1, grad_norm: 1, tokens: 100 * step }) as const;
  for (const step of [1, 2, 3, 4, 5]) {
    clock.mockReturnValue(500 * step);
    board.add(stepOf(step));
  }
  board.write();
  const speeds = read(folder)[0].map(({ scalars }) => scalars["train/tokens_per_s"]);
  expect(speeds).toEqual([undefined, undefined, undefined, 200, undefined, 200]);
  rmSync(join(folder, filesIn(folder)[0]));
  board.add(stepOf(6));
  board.write();
  expect(read(folder)[0].map(({ version, step }) => version ?? step)).toEqual(["brain.Event:2", 6]);
});
