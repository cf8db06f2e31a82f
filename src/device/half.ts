// Numbers of half precision as their bits, 16 each. By hand: Float16Array is younger than the f16 of GPUs, and
// neither Node 22 nor every browser with WebGPU has it.

const number = new Float32Array(1);
const word = new Uint32Array(number.buffer);

/** f16's bits for infinity; above them, without the sign, are those of no number. */
const INFINITY = 0x7c00;
const NO_NUMBER = 0x7e00;
/** Of the least number with all its digits; below it every number counts 2^-24s. */
const LEAST = 0x0400;
/** The least number that is rounded to infinity, and the least one that f16 has with all its digits. */
const OVERFLOW = 65520;
const NORMAL = 2 ** -14;

/** Numbers as bits of f16, rounded to the nearest and of two as near to the even one, as GPUs do. */
export function toHalves(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    number[0] = values[i];
    const full = word[0];
    const sign = (full >>> 16) & 0x8000;
    const size = Math.abs(number[0]);
    bits[i] = sign | (size < NORMAL ? tiny(size) : large(size, full & 0x7fffffff));
  }
  return bits;
}

/** Beside 1/2 the last digit of f32 is worth what that of f16 is near 0. */
function tiny(size: number): number {
  number[0] = 0.5 + size;
  return word[0] - 0x3f000000;
}

/** @param full its bits in f32: the same but for another exponent and 13 digits more */
function large(size: number, full: number): number {
  if (size < OVERFLOW) return (full + 0xfff + ((full >>> 13) & 1) - 0x38000000) >>> 13;
  return size >= OVERFLOW ? INFINITY : NO_NUMBER;
}

/** The numbers that bits of f16 stand for. */
export function fromHalves(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(bits.length);
  for (let i = 0; i < values.length; i++) {
    const half = bits[i];
    const size = half & 0x7fff;
    word[0] =
      ((half & 0x8000) << 16) | ((size << 13) + (size < INFINITY ? 0x38000000 : 0x70000000));
    values[i] = size < LEAST ? (half === size ? size : -size) * 2 ** -24 : number[0];
  }
  return values;
}
