// The ways to change one token of a shader: operators, numbers, names of indices and sizes.

import { filesOf, link, type Sources } from "../../src/device/link.ts";
import { PythonRandom } from "../../src/random.ts";

export interface Mutant {
  /** The shader's file, by its path without `.wgsl`: the kernel's own or one of its pieces'. */
  file: string;
  /** The file's whole text, changed. */
  code: string;
  /** From 1. */
  line: number;
  was: string;
  is: string;
  /** The line as it was. */
  text: string;
}

const OPERATORS: Record<string, string[]> = {
  "+": ["-"],
  "-": ["+"],
  "*": ["/", "+"],
  "/": ["*"],
  "%": ["/"],
  "<": ["<=", ">"],
  "<=": ["<"],
  ">": [">=", "<"],
  ">=": [">"],
  "==": ["!="],
  "!=": ["=="],
  "&&": ["||"],
  "||": ["&&"],
  "+=": ["-=", "="],
  "-=": ["+="],
  "*=": ["/=", "="],
  "/=": ["*="],
  "<<": [">>"],
  ">>": ["<<"],
  "&": ["|"],
  "|": ["&"],
};

const NAMES: Record<string, string[]> = {
  min: ["max"],
  max: ["min"],
  exp: ["sqrt"],
  sqrt: ["exp"],
  true: ["false"],
  false: ["true"],
};

/** What is declared, not computed: bindings, structs, constants that are given, names of types. */
const declaration =
  /^\s*(@|override|struct|alias|enable|requires|diagnostic|const \w+ = \w+;\s+\/\/ given|\w+: \w+,)/;

/** A function on a line, or up to a line that is its bracket. */
const functions = /^fn (\w+)(?:.*\}$|[^]*?^\}$)/gm;

/** Every change of one token of a kernel and of what it uses of its pieces, in their order; some do not compile. */
export function mutantsOf(sources: Sources, kernel: string): Mutant[] {
  const linked = link(sources, kernel);
  const used = usedBy(linked, kernel);
  const names = indexNames(linked);
  return filesOf(sources, kernel).flatMap((file) => {
    const body = sources[file].replace(functions, (text, name: string) =>
      used.has(name) ? text : text.replace(/.+/g, ""),
    );
    return mutantsIn(file, sources[file], body, names);
  });
}

/** The functions that run. */
function usedBy(linked: string, kernel: string): Set<string> {
  const bodies = new Map([...linked.matchAll(functions)].map(([text, name]) => [name, text]));
  const used = new Set([kernel]);
  for (const name of used) {
    for (const [word] of bodies.get(name)!.matchAll(/\w+/g)) if (bodies.has(word)) used.add(word);
  }
  return used;
}

/** @param body the source without what is to stay as it is, line for line */
function mutantsIn(
  file: string,
  source: string,
  body: string,
  names: ReadonlyMap<string, string>,
): Mutant[] {
  const lines = source.split("\n");
  return body.split("\n").flatMap((text, i) => {
    if (declaration.test(text)) return [];
    const [code] = text.split("//");
    return changes(code, names).map(({ at, was, is }) => {
      const changed = text.slice(0, at) + is + text.slice(at + was.length);
      return {
        file,
        code: lines.with(i, changed).join("\n"),
        line: i + 1,
        was,
        is,
        text: text.trim(),
      };
    });
  });
}

interface Change {
  at: number;
  was: string;
  is: string;
}

function changes(code: string, names: ReadonlyMap<string, string>): Change[] {
  const found: Change[] = [];
  const add = (at: number, was: string, choices: readonly string[]) =>
    found.push(...choices.map((is) => ({ at, was, is })));
  // Operators stand between spaces; the brackets of types do not.
  for (const match of code.matchAll(/(?<= )([-+*/%<>=!&|]+)(?= )/g)) {
    add(match.index, match[1], OPERATORS[match[1]] ?? []);
  }
  for (const match of code.matchAll(/(?<![\w.])(\d+\.\d+|\d+u?)(?![\w.])/g)) {
    add(match.index, match[1], numbers(match[1]));
  }
  for (const match of code.matchAll(/(?<![\w])([a-zA-Z_]\w*)/g)) {
    const [name] = match;
    const field = code[match.index - 1] === ".";
    if (field && /^[xyz]$/.test(name)) add(match.index, name, [name === "x" ? "y" : "x"]);
    else if (!field && Object.hasOwn(NAMES, name)) add(match.index, name, NAMES[name]);
    else if (names.has((field ? "." : "") + name)) {
      add(match.index, name, [names.get((field ? "." : "") + name)!]);
    }
  }
  return found;
}

function numbers(literal: string): string[] {
  const unsigned = literal.endsWith("u") ? "u" : "";
  if (literal.includes(".")) return [Number(literal) === 0 ? "1.0" : "0.0", `(${literal} + 0.5)`];
  const value = Number.parseInt(literal, 10);
  return value === 0 ? [`1${unsigned}`] : [`${value + 1}${unsigned}`, `${value - 1}${unsigned}`];
}

/** For the name of each index and each size (with a point before it) another one of its kind, the next one declared. */
function indexNames(source: string): Map<string, string> {
  const declared = [...source.matchAll(/\b(?:let|var) ([a-z])\b/g)].map(([, name]) => name);
  const sizes = [...(/struct Sizes \{([^}]*)\}/.exec(source)?.[1] ?? "").matchAll(/(\w+): u32/g)];
  const next = new Map<string, string>();
  for (const list of [[...new Set(declared)], sizes.map(([, name]) => `.${name}`)]) {
    if (list.length < 2) continue;
    list.forEach((name, i) => next.set(name, list[(i + 1) % list.length].replace(".", "")));
  }
  return next;
}

/** Some of a list, the same ones for the same seed. */
export function sample<T>(list: readonly T[], count: number, seed: number): T[] {
  const shuffled = [...list];
  new PythonRandom(seed).shuffle(shuffled);
  return shuffled.slice(0, count);
}
