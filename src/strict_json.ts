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
  const value = parsed(text);
  // The text is JSON, so these are all its strings and brackets; a string before a colon is a key.
  const tokens = text.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}[\]]/g);
  const open: Set<string>[] = [];
  for (const [token, string, colon] of tokens) {
    if (token === "{" || token === "[") open.push(new Set());
    else if (token === "}" || token === "]") open.pop();
    else if (colon !== undefined) addKey(open.at(-1)!, JSON.parse(string));
    if (open.length > MAX_DEPTH) throw new SyntaxError(`it is nested more than ${MAX_DEPTH} deep`);
  }
  return value;
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
