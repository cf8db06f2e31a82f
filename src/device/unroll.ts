// Counted loops of WGSL written out. WGSL has no hint for it, and a driver that keeps a loop around an array of
// matrices keeps the array in memory, where its parts have places that are numbers: on an H200 products then take up to
// five times as long.

/** A text's constants with their values, in whatever order they stand; those that are given are put in already. */
function constantsOf(code: string): Record<string, number> {
  const values: Record<string, number> = {};
  let open = [...code.matchAll(/^const (\w+) = ([^;]+);/gm)];
  for (let before = Infinity; open.length < before;) {
    before = open.length;
    open = open.filter(([, name, expression]) => {
      const value = evaluate(expression, values);
      if (value !== undefined) values[name] = value;
      return value === undefined;
    });
  }
  return values;
}

/** A whole number that is made of constants; undefined where it is made of other things too. */
function evaluate(expression: string, values: Record<string, number>): number | undefined {
  const tokens = expression.match(/\d+u?|\w+|[-+*/(),]|\S/g) ?? [];
  let at = 0;
  const sum = (): number => {
    let value = product();
    while (tokens[at] === "+" || tokens[at] === "-") {
      value = tokens[at++] === "+" ? value + product() : value - product();
    }
    return value;
  };
  const product = (): number => {
    let value = factor();
    while (tokens[at] === "*" || tokens[at] === "/") {
      value = tokens[at++] === "*" ? value * factor() : Math.floor(value / factor());
    }
    return value;
  };
  const factor = (): number => {
    const token = tokens[at++] ?? "";
    if (/^\d+u?$/.test(token)) return parseInt(token, 10);
    if (token === "(" || token === "max") {
      if (token === "max") at++;
      let value = sum();
      if (tokens[at] === ",") {
        at++;
        value = Math.max(value, sum());
      }
      at++;
      return value;
    }
    return values[token] ?? NaN;
  };
  const value = sum();
  return at === tokens.length && Number.isInteger(value) ? value : undefined;
}

const loop = /for \(var (\w+) = 0u; \1 < ([^;]+); \1\+\+\) \{/;

/** A body is written out so many times at most. */
const MOST = 32;

/**
 * Writes out every loop `for (var i = 0u; i < COUNT; i++)` whose bound is made of the text's constants; those with a
 * `continue` or a `break` stay. Names are those of the text: a body must not use the counter's name for anything else.
 */
export function unroll(code: string): string {
  const values = constantsOf(code);
  const out: string[] = [];
  let rest = code;
  for (let match = loop.exec(rest); match; match = loop.exec(rest)) {
    const [head, name, bound] = match;
    const begin = match.index + head.length;
    let depth = 1;
    let end = begin;
    while (depth > 0) {
      if (rest[end] === "{") depth++;
      if (rest[end] === "}") depth--;
      end++;
    }
    const body = rest.slice(begin, end - 1);
    const count = evaluate(bound, values);
    out.push(rest.slice(0, match.index));
    const small = count !== undefined && count <= MOST && !/\b(continue|break);/.test(body);
    if (small) {
      const copies = Array.from({ length: count }, (_, i) => {
        const copy = body.replace(new RegExp(`\\b${name}\\b`, "g"), `${i}u`);
        return `{${copy}}`;
      });
      rest = `{${copies.join("\n")}}${rest.slice(end)}`;
      // Inner loops of the copies are next.
    } else {
      out.push(head);
      rest = rest.slice(begin);
    }
  }
  return out.join("") + rest;
}
