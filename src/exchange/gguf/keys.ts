// The keys of a GGUF file, asked for by name, each once: what nobody has asked for is known in the end.

import { ModelFileError } from "../../errors.ts";
import { show } from "../../strict_json.ts";
import { notGguf } from "./cursor.ts";
import type { Value } from "./format.ts";

export class Keys {
  private readonly values: ReadonlyMap<string, Value>;
  private readonly where: string;
  private readonly asked = new Set<string>();

  constructor(values: ReadonlyMap<string, Value>, where: string) {
    this.values = values;
    this.where = where;
  }

  has(key: string): boolean {
    return this.values.has(key);
  }

  text(key: string): string {
    const value = this.take(key);
    return typeof value === "string" ? value : this.wrong(key, "a text");
  }

  /** A whole number of at least `least`. */
  whole(key: string, least = 1): number {
    const value = this.take(key);
    const isGood = typeof value === "number" && Number.isSafeInteger(value) && value >= least;
    return isGood ? value : this.wrong(key, `a whole number of at least ${least}`);
  }

  /** A positive number. */
  positive(key: string): number {
    const value = this.take(key);
    const isGood = typeof value === "number" && Number.isFinite(value) && value > 0;
    return isGood ? value : this.wrong(key, "a positive number");
  }

  flag(key: string): boolean {
    const value = this.take(key);
    return typeof value === "boolean" ? value : this.wrong(key, "true or false");
  }

  texts(key: string): readonly string[] {
    const value = this.take(key);
    if (Array.isArray(value)) return value;
    return this.wrong(key, "a list of texts");
  }

  /** A list of whole numbers of a length; undefined if there is none. */
  wholes(key: string, length: number): ArrayLike<number> | undefined {
    if (!this.has(key)) return undefined;
    const value = this.take(key);
    const isGood = value instanceof Int32Array || value instanceof Uint32Array;
    if (isGood && value.length === length) return value;
    return this.wrong(key, `a list of ${length} whole numbers`);
  }

  /** The first key with one of these beginnings that nobody asked for. */
  unasked(beginning: string): string | undefined {
    return [...this.values.keys()].find((key) => key.startsWith(beginning) && !this.asked.has(key));
  }

  /** What a function gives, whose errors are this file's. */
  within<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ModelFileError)) throw error;
      throw new ModelFileError(`${this.where}: ${error.message}`);
    }
  }

  /** @param what is wrong, the end of a sentence */
  fail(what: string): never {
    throw notGguf(this.where, what);
  }

  private take(key: string): Value {
    this.asked.add(key);
    const value = this.values.get(key);
    return value ?? this.fail(`it lacks the key ${key}`);
  }

  private wrong(key: string, needed: string): never {
    return this.fail(`its ${key} is ${told(this.values.get(key))}, and ${needed} is needed`);
  }
}

function told(value: unknown): string {
  if (typeof value === "object") return "a list";
  return typeof value === "string" ? show(value) : String(value);
}
