// Bodies that nobody sends: whatever comes is answered by a status of 200 or one of the 400s, and the server goes on.
//
//   FUZZ_BODIES=10000 npm test -- test/serve/fuzz

import fc from "fast-check";
import { expect, test } from "vitest";
import { calls } from "../../cli/serve/api.ts";
import { type RequestKind, requestSchemas } from "../../src/api/fields.ts";
import type { Schema } from "../../src/api/schema.ts";
import { chatGenerator, namesGenerator, serveModel } from "./models.ts";

const NUM_BODIES = Number(process.env.FUZZ_BODIES ?? 200);

/** A value that the field may have, and now and then one just beside it. */
function near(schema: Schema): fc.Arbitrary<unknown> {
  const { type, minimum = 0, maximum = 20, items, properties, additionalProperties } = schema;
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(near));
  if (schema.enum) return fc.constantFrom(null, ...schema.enum);
  const [min, max] = [Math.max(minimum, -100), Math.min(maximum, 20)];
  const beside = fc.constantFrom(min - 1, max + 1, -0, 0.5);
  const ranged = (arbitrary: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 30, arbitrary }, { weight: 1, arbitrary: beside });
  switch (type) {
    case "integer":
      return ranged(fc.integer({ min, max }));
    case "number":
      return ranged(fc.double({ min, max, noNaN: true }));
    case "boolean":
      return fc.boolean();
    case "array":
      return fc.array(items ? near(items) : fc.jsonValue(), {
        minLength: schema.minItems,
        maxLength: Math.min(3, schema.maxItems ?? 3),
      });
    case "object":
      return properties
        ? object(properties, schema.required ?? [])
        : fc.dictionary(fc.constantFrom("0", "3"), near(additionalProperties || {}));
    case "string":
      return fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom("a", "my red cat", "ada", "sure?") },
        { weight: 1, arbitrary: fc.string({ unit: "binary" }) },
      );
    default:
      return fc.constant(null);
  }
}

/** What the schema allows; in one of two cases with one field of any value. */
function object(
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): fc.Arbitrary<object> {
  const fields = Object.entries(properties).map(([name, schema]) => [name, near(schema)]);
  const likely = fc.record<Record<string, unknown>>(Object.fromEntries(fields), {
    requiredKeys: [...required],
  });
  const any = fc.constantFrom(...Object.keys(properties), "user", "x");
  const odd = fc.tuple(likely, any, fc.jsonValue({ maxDepth: 3 }));
  return fc.oneof(
    likely,
    odd.map(([value, name, wrong]) => ({ ...value, [name]: wrong })),
  );
}

/** A text in which some bytes are others. */
const spoilt = (text: fc.Arbitrary<string>) =>
  fc
    .tuple(text, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
    .map(([text, flips]) => {
      const bytes = Buffer.from(text);
      for (const [at, byte] of flips) if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return bytes;
    });

const bodyOf = (kind: RequestKind): fc.Arbitrary<Uint8Array<ArrayBuffer>> => {
  const json = near(requestSchemas[kind]).map((value) => JSON.stringify(value));
  return fc.oneof(
    { weight: 6, arbitrary: json.map((text) => Buffer.from(text)) },
    { weight: 2, arbitrary: spoilt(json) },
    { weight: 1, arbitrary: spoilt(fc.json()) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  );
};

const request = fc
  .constantFrom(...Object.entries(calls))
  .chain(([path, { kind }]) => fc.tuple(fc.constant(path), bodyOf(kind)));

/** JSON, events without an error, or an error of the client's that is told. */
function isAnswer({ status, text }: { status: number; text: string }): boolean {
  if (status !== 200) return status >= 400 && status < 500 && !!JSON.parse(text).error;
  if (/^(data|event): /.test(text)) return !/^data: \{"error"|^event: error/m.test(text);
  return typeof JSON.parse(text) === "object";
}

test("any body is answered", { timeout: 600_000 }, async () => {
  const servers = [
    await serveModel(await chatGenerator()),
    await serveModel(await namesGenerator()),
  ];
  const statuses: Record<number, number> = {};
  const property = fc.asyncProperty(
    request,
    fc.constantFrom(...servers),
    async ([path, body], server) => {
      const headers = { "content-type": "application/json" };
      const response = await server.fetch(path, { method: "POST", body, headers });
      const text = await response.text();
      const { status } = response;
      statuses[status] = (statuses[status] ?? 0) + 1;
      expect({ status, text }).toSatisfy(isAnswer);
    },
  );
  await fc.assert(property, { numRuns: NUM_BODIES, seed: 20_26 });
  for (const { output, metric } of servers) {
    expect(output.errors).toBe("");
    expect(await metric("microgpt_texts_running")).toBe(0);
  }
  expect(statuses[200]).toBeGreaterThan(NUM_BODIES / 20); // or it would be no test
});
