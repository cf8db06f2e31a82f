// TensorBoard's event files, in bytes: a protobuf message an event, in the frames of a TFRecord.
//
// A frame is the message's length (8 bytes), that number's checksum, the message and its checksum, 4 bytes each, all
// little-endian. A checksum is a CRC32C, turned right by 15 bits, plus a constant. Of the messages there is what TensorBoard
// reads of scalars: Event { 1: wall_time, 2: step, 3: file_version, 5: Summary, 7: SessionLog }, Summary { 1: Value },
// Value { 1: tag, 2: simple_value }, SessionLog { 1: status }.

/** Reversed, of Castagnoli's polynomial. */
const POLYNOMIAL = 0x82f63b78;
const MASK = 0xa282ead8;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + MASK) >>> 0;
}

/** A record as it stands in the file. */
export function frame(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16 + message.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(message.length), true);
  view.setUint32(8, maskedCrc(bytes.subarray(0, 8)), true);
  bytes.set(message, 12);
  view.setUint32(12 + message.length, maskedCrc(message), true);
  return bytes;
}

/** Wire types of protobuf. */
const [VARINT, BYTES_8, LENGTH, BYTES_4] = [0, 1, 2, 5];

type Bytes = readonly number[] | Uint8Array;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

const key = (field: number, type: number) => (field << 3) | type;
const integer = (field: number, value: number) => [key(field, VARINT), ...varint(value)];
const message = (field: number, bytes: Bytes) => [
  key(field, LENGTH),
  ...varint(bytes.length),
  ...bytes,
];
const text = (field: number, value: string) => message(field, new TextEncoder().encode(value));
const double = (field: number, value: number) => [
  key(field, BYTES_8),
  ...new Uint8Array(Float64Array.of(value).buffer),
];
const float = (field: number, value: number) => [
  key(field, BYTES_4),
  ...new Uint8Array(Float32Array.of(value).buffer),
];

/** @param wall_time seconds since 1970 */
function eventOf(wall_time: number, step: number, content: readonly number[]): Uint8Array {
  return frame(Uint8Array.from([...double(1, wall_time), ...integer(2, step), ...content]));
}

/** What every file begins with. */
export function versionEvent(wall_time: number): Uint8Array {
  return eventOf(wall_time, 0, text(3, "brain.Event:2"));
}

/** That a run goes on: of the files before, what is of this step or a later one counts no more. */
export function startEvent(wall_time: number, step: number): Uint8Array {
  const START = 1;
  return eventOf(wall_time, step, message(7, integer(1, START)));
}

/** Numbers after a step, by their tags. */
export function scalarsEvent(
  wall_time: number,
  step: number,
  scalars: Readonly<Record<string, number>>,
): Uint8Array {
  const values = Object.entries(scalars).flatMap(([tag, value]) =>
    message(1, [...text(1, tag), ...float(2, value)]),
  );
  return eventOf(wall_time, step, message(5, values));
}
