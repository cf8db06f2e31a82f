// The table of fields as clients see it: JSON Schema, every field with what it means.

import { expect, test } from "vitest";
import { requestSchemas } from "../../src/api/fields.ts";
import { checkValue, toJsonSchema } from "../../src/api/schema.ts";
import { settings } from "../../src/config/settings.ts";

test.each(Object.entries(requestSchemas))("%s: every field says what it means", (_, schema) => {
  const told = toJsonSchema(schema);
  expect(JSON.stringify(told)).not.toContain('"advice"');
  const properties = Object.entries(told.properties as Record<string, Record<string, unknown>>);
  expect(properties.length).toBeGreaterThan(2);
  for (const [, field] of properties) {
    expect(field.description).toMatch(/\.$/);
    expect(field.type ?? field.enum ?? field.anyOf).toBeDefined();
  }
});

test("a default is a value that the field may have", () => {
  const fields = Object.values(requestSchemas).flatMap((schema) =>
    Object.entries(schema.properties!).filter(([, field]) => field.default !== undefined),
  );
  expect(fields.length).toBeGreaterThan(20);
  for (const [name, field] of fields) checkValue(field, field.default, name);
});

test("what is a setting too may be the same", () => {
  const { temperature, top_p } = requestSchemas.completions.properties!;
  const of = (name: string) => settings.find((setting) => setting.name === name)!;
  expect(temperature.minimum).toBe(of("temperature").min);
  expect([top_p.exclusiveMinimum, top_p.maximum]).toEqual([of("top_p").min, of("top_p").max]);
});
