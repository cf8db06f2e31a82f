// Numbers in half precision (f16) as their bits: not every engine that runs this has Float16Array yet.

/** From here on f16 has infinity alone. */
export const HALF_END = 65520;

const single = new Float32Array(1);
const bits = new Uint32Array(single.buffer);

/** The bits of the f16 that is next to x, of two alike the even one. */
function halfBits(x: number): number {
  single[0] = x;
  const sign = (bits[0] >>> 16) & 0x8000;
  const size = bits[0] & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00; // NaN
  if (size >= 0x477ff000) return sign | 0x7c00; // from 65520 on it is infinity
  if (size < 0x38800000) return sign | roundEven(Math.abs(single[0]) * 2 ** 24); // below 2^-14: steps of 2^-24
  return sign | roundEven((size - 0x38000000) / 2 ** 13); // 10 bits of fraction, the exponent's bias 15
}

/** To the next whole number, of two alike the even one. */
function roundEven(x: number): number {
  const low = Math.floor(x);
  const up = x - low > 0.5 || (x - low === 0.5 && low % 2 === 1);
  return up ? low + 1 : low;
}

function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 2 ** 10) * 2 ** (exponent - 15);
}

/** Numbers as the bits of f16. */
export function toHalves(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const halves = new Uint16Array(values.length); // from() with a function takes 20 times as long
  for (let i = 0; i < halves.length; i++) halves[i] = halfBits(values[i]);
  return halves;
}

/** All that there are; made when they are first asked for. */
let all: Float32Array | undefined;

/** What the bits of f16 stand for. */
export function fromHalves(halves: Uint16Array): Float32Array<ArrayBuffer> {
  all ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => halfValue(half));
  const values = new Float32Array(halves.length);
  for (let i = 0; i < values.length; i++) values[i] = all[halves[i]];
  return values;
}
