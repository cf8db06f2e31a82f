// JSON from files that others may have written: JSON.parse without what it lets pass in silence.

/** No file here goes deeper than 3; what prints a value by recursion survives this. */
const MAX_DEPTH = 100;

/**
 * The value of a JSON text. JSON.parse keeps the last of two equal keys, so that two readers may see
 * two different files in the same bytes: here that is an error.
 * @throws SyntaxError if the text is not JSON, is nested more than 100 deep, has a key twice in one
 *   object, or a key `__proto__`
 */
export function parseStrictJson(text: string): unknown {
  checkKeys(text);
  return parsed(text);
}

const [QUOTE, BACKSLASH, COLON] = ['"', "\\", ":"].map((char) => char.charCodeAt(0));
const [OBJECT, OBJECT_END, LIST, LIST_END] = [..."{}[]"].map((char) => char.charCodeAt(0));

/**
 * Depth and keys, of what need not be JSON: before it is parsed, for a megabyte of brackets takes the parser a second.
 * A string before a colon is a key.
 */
function checkKeys(text: string): void {
  /** The keys of what is open, from the outermost on. */
  const open: (Set<string> | undefined)[] = [];
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === OBJECT || char === LIST) {
      open.push(undefined);
      if (open.length > MAX_DEPTH)
        throw new SyntaxError(`it is nested more than ${MAX_DEPTH} deep`);
    } else if (char === OBJECT_END || char === LIST_END) {
      open.pop();
    } else if (char === QUOTE) {
      const start = i;
      i = endOfString(text, start);
      if (open.length === 0 || !isBeforeColon(text, i)) continue;
      const string = text.slice(start, i + 1);
      const key = string.includes("\\") ? (parsed(string) as string) : string.slice(1, -1);
      addKey((open[open.length - 1] ??= new Set()), key);
    }
  }
}

/** Where the string that begins there has its last quote; the text's end where it has none. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === BACKSLASH) i++;
    else if (char === QUOTE) return i;
  }
  return text.length;
}

function isBeforeColon(text: string, end: number): boolean {
  let i = end + 1;
  while (i < text.length && text.charCodeAt(i) <= 32) i++;
  return text.charCodeAt(i) === COLON;
}

/** What the parser says may hold a piece of the text, line ends included. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SyntaxError((error as Error).message.replaceAll(/\s+/g, " "));
  }
}

function addKey(keys: Set<string>, key: string): void {
  if (key === "__proto__") throw new SyntaxError(`the key "__proto__" is not allowed`);
  if (keys.has(key)) throw new SyntaxError(`the key ${show(key)} is there twice`);
  keys.add(key);
}

/** True for what JSON calls an object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value from the file for a message, which must not get as long as the file. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "missing";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** Whether two values are the same as JSON, whatever the order of the keys. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  return (
    Array.isArray(a) === Array.isArray(b) &&
    keys.length === others.length &&
    keys.every((key) => {
      const isThere = Object.hasOwn(b, key);
      return isThere && sameJson((a as Named)[key], (b as Named)[key]);
    })
  );
}

type Named = Readonly<Record<string, unknown>>;
