// Loops written out, and what matrix kernels need of a driver besides.

import { platform } from "#platform";
import { expect, test } from "vitest";
import { giveConstants } from "../src/device/kernels.ts";
import { kernelNames, link } from "../src/device/link.ts";
import { unroll } from "../src/device/unroll.ts";
import { openNowhere } from "./harness/nowhere.ts";

const shaders = platform.shaders();
const matrixKernels = kernelNames(shaders).filter((kernel) => kernel.endsWith("_matrix"));
const textOf = (kernel: string) => link(shaders, kernel);
const flat = (text: string) => text.replace(/\s+/g, " ").replaceAll("} {", "}{").trim();

test("a counted loop is written out, with the loops in it; whole numbers are divided as WGSL does", () => {
  const source = `const A = 7u;
const B = (A + 1u) / 3u;
const C = max(B, 3u) - 2u;
for (var i = 0u; i < B; i++) { for (var j = 0u; j < C * 2u; j++) { x[i][j] = index + i; } }`;
  const body = "{ { x[0u][0u] = index + 0u; }{ x[0u][1u] = index + 0u; } }";
  const [, written] = flat(unroll(source)).split("- 2u; ");
  expect(written.replace(/[{}\s]/g, "")).toBe(
    (body + body.replaceAll("x[0u]", "x[1u]").replaceAll("+ 0u", "+ 1u")).replace(/[{}\s]/g, ""),
  );
});

test("constants have their values in any order, as the pieces of a kernel bring them", () => {
  const source =
    "const A = B + 1u;\nfor (var i = 0u; i < A; i++) { x = i; }\nconst B = C;\nconst C = 1u;";
  const [, written] = flat(unroll(source)).split("+ 1u; ");
  expect(written).toBe("{{ x = 0u; }{ x = 1u; }} const B = C; const C = 1u;");
});

test.each([
  [
    "constants made of each other",
    "const A = B;\nconst B = A;\nfor (var i = 0u; i < A; i++) { x = i; }",
  ],
  ["a bound that is no constant", "for (var i = 0u; i < sizes.T; i++) { x = i; }"],
  ["an override as bound", "override N: u32; for (var i = 0u; i < N; i++) { x = i; }"],
  ["steps of more than one", "for (var i = 0u; i < 4u; i += 2u) { x = i; }"],
  ["a body that goes on early", "for (var i = 0u; i < 4u; i++) { if (a) { continue; } x = i; }"],
  ["a body that ends it", "for (var i = 0u; i < 4u; i++) { if (a) { break; } x = i; }"],
  ["too many rounds", "for (var i = 0u; i < 33u; i++) { x = i; }"],
])("a loop stays: %s", (_, source) => {
  expect(unroll(source)).toBe(source);
});

test.each(matrixKernels)(
  "%s.wgsl has no matrices left at places that are not numbers",
  (kernel) => {
    const given = { UNIT_M: 16, UNIT_N: 16, UNIT_K: 16, LANES: 32, DOWN: 4, HS: 64 };
    const code = textOf(kernel).replace(/\/\/(?! given).*/g, "");
    const text = unroll(giveConstants(code, given).code);
    const arrays = [...text.matchAll(/var (\w+): array<(?:array<)?(?:Left|Right|Sums)\b/g)];
    expect(arrays.length).toBeGreaterThan(0);
    for (const [, name] of arrays) {
      const places = [...text.matchAll(new RegExp(`\\b${name}((?:\\[[^\\]]*\\])+)`, "g"))];
      expect(places.length).toBeGreaterThan(0);
      for (const [, place] of places) expect(place).toMatch(/^(\[[\dA-Z_umin\s,+*/()-]+\])+$/);
    }
  },
);

// An H200's driver packed a single u32 before an array of vec4h: matrices were then loaded from 8 bytes beside it.
test.each(matrixKernels)("%s.wgsl keeps its workgroup memory in pieces of 16 bytes", (kernel) => {
  const declared = [...textOf(kernel).matchAll(/var<workgroup> \w+: ([^;]+);/g)];
  expect(declared.length).toBeGreaterThan(0);
  for (const [, type] of declared) {
    expect(type).toMatch(/^array<((vec4[fh]|Vector), .+|atomic<u32>, 4)>$/);
  }
});

test("attention on matrix units is valid with its loops written out, for heads that fill matrices and others", async () => {
  const device = await openNowhere();
  const units = [
    { UNIT_M: 16, UNIT_N: 16, UNIT_K: 16 },
    { UNIT_M: 16, UNIT_N: 8, UNIT_K: 8 },
  ];
  for (const kernel of matrixKernels.filter((name) => name.startsWith("attention"))) {
    for (const unit of units) {
      for (const HS of [4, 20, 64]) {
        const constants = { ...unit, HS, DOWN: 4, LANES: 32 };
        const code = unroll(giveConstants(textOf(kernel), constants).code);
        const { messages } = await device.gpu.createShaderModule({ code }).getCompilationInfo();
        expect(messages.filter(({ type }) => type === "error")).toEqual([]);
      }
    }
  }
  device.destroy();
});
