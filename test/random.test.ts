// Python's random module, number for number. The expected values are CPython's.

import { expect, test } from "vitest";
import { PythonRandom } from "../src/random.ts";

const python = [
  {
    seed: 42,
    uniform: [0.6394267984578837, 0.025010755222666936, 0.27502931836911926],
    shuffled: [7, 5, 2, 8, 9, 6, 11, 3, 4, 0, 1, 10],
    gauss: [0.03478082674075431, 0.0070394322823556345, 0.011807678602879165],
    choices: [2, 2, 2, 1, 1, 1, 2, 2, 1, 1, 1, 1],
  },
  {
    seed: 0,
    uniform: [0.8444218515250481, 0.7579544029403025, 0.420571580830845],
    shuffled: [1, 9, 8, 5, 10, 2, 3, 7, 4, 0, 11, 6],
    gauss: [-0.06506837043288607, -0.001916712427670063, 0.004048669156289424],
    choices: [1, 2, 3, 2, 2, 1, 2, 2, 2, 2, 0, 1],
  },
  {
    seed: 1099511627781,
    uniform: [0.5043802970418443, 0.2686044399723282, 0.9257865475671585],
    shuffled: [3, 5, 2, 9, 6, 7, 1, 10, 0, 4, 11, 8],
    gauss: [0.0021989055223041345, 0.1458066794331164, -0.014560379753545072],
    choices: [1, 2, 0, 1, 1, 2, 1, 2, 2, 2, 0, 2],
  },
];

test.each(python)(
  "seed $seed gives CPython's numbers",
  ({ seed, uniform, shuffled, gauss, choices }) => {
    const fresh = new PythonRandom(seed);
    expect(uniform.map(() => fresh.random())).toEqual(uniform);

    const random = new PythonRandom(seed);
    const items = Array.from({ length: 12 }, (_, i) => i);
    random.shuffle(items);
    expect(items).toEqual(shuffled);
    for (const expected of gauss) expect(random.gauss(0, 0.08)).toBeCloseTo(expected, 15);
    expect(choices.map(() => random.choice([1, 2, 3, 0.5]))).toEqual(choices);
  },
);

test("a weight of zero is never chosen, and the last index is reached", () => {
  const random = new PythonRandom(7);
  const seen = new Set(Array.from({ length: 500 }, () => random.choice([0, 1, 0, 1])));
  expect([...seen].sort()).toEqual([1, 3]);
});
