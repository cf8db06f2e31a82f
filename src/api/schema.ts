// What a field of a request may be: a small part of JSON Schema, which checks values and is told to clients as it is.

import { type ConfigError, RequestError } from "../errors.ts";
import { checkNames } from "../names.ts";
import { isObject, show } from "../strict_json.ts";

/** A value's type, range and meaning. */
export interface Schema {
  type?: "integer" | "number" | "boolean" | "string" | "array" | "object";
  description?: string;
  default?: unknown;
  enum?: readonly (string | number | boolean)[];
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  properties?: Readonly<Record<string, Schema>>;
  required?: readonly string[];
  /** What others are; false where there are none. */
  additionalProperties?: Schema | false;
  anyOf?: readonly Schema[];
  /** What to do about a value that it cannot be: a sentence, for messages alone. */
  advice?: string;
}

/**
 * What a value lacks to be what the schema says. In properties null is as good as nothing, for clients send it.
 * @param path of the value, for the message
 * @throws RequestError naming the first field that is wrong
 */
export function checkValue(schema: Schema, value: unknown, path: string): void {
  if (schema.anyOf) {
    const fitting = schema.anyOf.find((each) => resembles(each, value));
    if (!fitting) throw wrong(schema, value, path);
    return checkValue(schema.advice ? { ...fitting, advice: schema.advice } : fitting, value, path);
  }
  if (!isOfType(schema, value) || !isInRange(schema, value)) throw wrong(schema, value, path);
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items) value.forEach((item, i) => checkValue(items, item, `${path}[${i}]`));
  } else if (isObject(value)) {
    checkProperties(schema, value, path);
  }
}

function checkProperties(schema: Schema, object: Record<string, unknown>, path: string): void {
  const { properties = {}, required = [], additionalProperties } = schema;
  const at = (name: string) => (path === "" ? name : `${path}.${name}`);
  for (const name of required) {
    if (object[name] === undefined || object[name] === null) {
      throw wrong(properties[name], object[name], at(name));
    }
  }
  if (additionalProperties === false) checkKnown(object, Object.keys(properties));
  for (const [name, value] of Object.entries(object)) {
    const known = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    if (known && value !== undefined && value !== null) checkValue(known, value, at(name));
  }
}

function checkKnown(object: object, known: readonly string[]): void {
  try {
    checkNames("field", object, known);
  } catch (error) {
    const { message, setting } = error as ConfigError;
    throw new RequestError(message, { param: setting, code: "invalid_value" });
  }
}

function wrong(schema: Schema, value: unknown, path: string): RequestError {
  const got = value === undefined ? "is missing" : `is ${shown(value)}`;
  const advice = schema.advice === undefined ? "" : ` ${schema.advice}`;
  return new RequestError(`${path} ${got}; it must be ${inWords(schema)}.${advice}`, {
    param: path,
    code: value === undefined ? "missing_required_parameter" : "invalid_value",
  });
}

/** JSON may be nested deeper than it can be written again. */
function shown(value: unknown): string {
  try {
    return show(value);
  } catch {
    return "nested too deep";
  }
}

/** Whether a value is meant to be of the schema: its type is, and of a list's items the first one's. */
function resembles(schema: Schema, value: unknown): boolean {
  if (schema.anyOf) return schema.anyOf.some((each) => resembles(each, value));
  if (!isOfType(schema, value)) return false;
  if (!Array.isArray(value) || value.length === 0 || !schema.items) return true;
  return resembles(schema.items, value[0]);
}

function isOfType({ type }: Schema, value: unknown): boolean {
  switch (type) {
    case undefined:
      return true;
    case "integer":
      return Number.isSafeInteger(value);
    case "number":
      return typeof value === "number" && Number.isFinite(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return isObject(value);
    default:
      return typeof value === type;
  }
}

/** Of a value that is of the schema's type. */
function isInRange(schema: Schema, value: unknown): boolean {
  if (schema.enum && !schema.enum.includes(value as string)) return false;
  const { minimum = -Infinity, exclusiveMinimum = -Infinity, maximum = Infinity } = schema;
  if (typeof value === "number") {
    return value >= minimum && value > exclusiveMinimum && value <= maximum;
  }
  const { minLength = 0, maxLength = Infinity, minItems = 0, maxItems = Infinity } = schema;
  if (typeof value === "string") return value.length >= minLength && value.length <= maxLength;
  if (Array.isArray(value)) return value.length >= minItems && value.length <= maxItems;
  return true;
}

const nouns = {
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  string: "a text",
  array: "a list",
  object: "an object",
} as const;

/** What a value may be: "a whole number from 1 to 20". */
function inWords(schema: Schema, many = false): string {
  if (schema.anyOf) return schema.anyOf.map((each) => inWords(each, many)).join(", or ");
  if (schema.enum) {
    return schema.enum.map((value) => JSON.stringify(value)).join(" or ") || "left out";
  }
  const { type, minimum, maximum } = schema;
  if (type === undefined) return "a value";
  if (minimum !== undefined && minimum === maximum) return `${minimum}`;
  const noun = many ? `${nouns[type].replace(/^an? /, "")}s` : nouns[type];
  if (type === "integer" || type === "number") return [noun, rangeInWords(schema)].join("");
  if (type === "string") return noun + sizeInWords(schema.minLength, schema.maxLength, "character");
  if (type === "array") {
    const of = schema.items ? ` of ${inWords(schema.items, true)}` : "";
    return noun + of + sizeInWords(schema.minItems, schema.maxItems, "item");
  }
  const { required = [] } = schema;
  return noun + (required.length > 0 ? ` with ${required.join(" and ")}` : "");
}

function rangeInWords({ minimum, exclusiveMinimum, maximum }: Schema): string {
  const most = maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (minimum !== undefined && most !== undefined) return ` from ${minimum} to ${most}`;
  const low =
    exclusiveMinimum !== undefined
      ? ` above ${exclusiveMinimum}`
      : minimum !== undefined
        ? ` of at least ${minimum}`
        : "";
  const high = most === undefined ? "" : `${low && " and"} of at most ${most}`;
  return low + high;
}

function sizeInWords(min = 0, max = Infinity, what: string): string {
  if (max === 0) return ", an empty one";
  const least = min > 1 ? `, of at least ${min} ${what}s` : min === 1 ? ", not an empty one" : "";
  return max === Infinity ? least : `${least}, of at most ${max} ${what}s`;
}

/** The schema as JSON Schema has it: for clients, without advice. */
export function toJsonSchema(schema: Schema): Record<string, unknown> {
  const text = JSON.stringify(schema, (key, value) => (key === "advice" ? undefined : value));
  return JSON.parse(text);
}
