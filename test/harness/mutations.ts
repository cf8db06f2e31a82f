// Changes to JSON that somebody made by mistake or on purpose: of values, keys, lists and whole branches.

import type { PythonRandom } from "../../src/random.ts";

type Branch = Record<string, unknown> | unknown[];

const values: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  1,
  -1,
  0.5,
  1e308,
  2 ** 31,
  2 ** 53,
  -(2 ** 63),
  "",
  "a",
  "\0",
  "\ud800",
  "__proto__",
  "constructor",
  "../..",
  "(a+)+$",
  "[",
  "a".repeat(5000),
  [],
  {},
  [[]],
  [null],
  { type: "BPE" },
];

/** A copy of the value with one to three changes; and as a text, which may have a key twice or a piece cut out. */
export function mutatedJson(value: unknown, random: PythonRandom): string {
  const copy = structuredClone(value);
  const times = 1 + index(3, random);
  for (let i = 0; i < times; i++) change(copy as Branch, random);
  const text = JSON.stringify(copy);
  if (index(20, random) > 0) return text;
  const [from, to] = [index(text.length, random), index(text.length, random)];
  return index(2, random) === 0
    ? text.slice(0, from)
    : text.slice(0, Math.min(from, to)) + text.slice(Math.max(from, to));
}

function index(length: number, random: PythonRandom): number {
  return Math.floor(random.random() * length);
}

function change(root: Branch, random: PythonRandom): void {
  const branches = branchesOf(root);
  const branch = branches[index(branches.length, random)];
  const other = branches[index(branches.length, random)];
  const keys = Object.keys(branch);
  const any = () => values[index(values.length, random)];
  const named = branch as Record<string, unknown>;
  if (keys.length === 0) {
    if (Array.isArray(branch)) branch.push(any());
    else named.a = any();
    return;
  }
  const key = keys[index(keys.length, random)];
  const list = Array.isArray(branch) ? branch : undefined;
  switch (index(6, random)) {
    case 0:
      named[key] = structuredClone(any());
      break;
    case 1:
      if (list) list.splice(Number(key), 1);
      else delete named[key];
      break;
    case 2:
      named[key] = nudged(named[key], random);
      break;
    case 3: {
      const second = keys[index(keys.length, random)];
      [named[key], named[second]] = [named[second], named[key]];
      break;
    }
    case 4:
      named[key] = structuredClone(other);
      break;
    default:
      if (list) list.push(structuredClone(list[Number(key)]));
      else {
        named[`${key}${index(10, random)}`] = named[key];
        if (index(2, random) === 0) delete named[key];
      }
  }
}

/** Something of the same kind. */
function nudged(value: unknown, random: PythonRandom): unknown {
  if (typeof value === "number") {
    return [value + 1, value - 1, -value, value * 2, value * 1e6, value + 0.5][index(6, random)];
  }
  if (typeof value === "string") {
    const at = index(value.length + 1, random);
    return value.slice(0, at) + String.fromCharCode(index(0x300, random)) + value.slice(at);
  }
  return typeof value === "boolean" ? !value : value;
}

function branchesOf(root: Branch): Branch[] {
  const found: Branch[] = [];
  const open: unknown[] = [root];
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value !== "object" || value === null) continue;
    found.push(value as Branch);
    open.push(...Object.values(value));
  }
  return found;
}
