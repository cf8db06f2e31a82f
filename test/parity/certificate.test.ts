// Certificates are remembered by what the engine runs on: in a file, and in the browser's storage.

import { expect, test } from "vitest";
import { recallCertificate, rememberCertificate } from "../../src/device/certificate.ts";
import type { Device } from "../../src/device/device.ts";
import { device } from "../harness/device.ts";

test("a certificate is remembered, found again, and removed", async () => {
  // Not the device's own name: it may have a certificate that is worth keeping.
  const other: Device = Object.create(device, { info: { value: { description: "a GPU" } } });
  const certificate = { date: "2026-11-24", dtypes: ["f32" as const] };
  expect(await rememberCertificate(other, certificate)).toBeNull();
  expect(await recallCertificate(other)).toEqual(certificate);
  expect(await rememberCertificate(other, null)).toBeNull();
  expect(await recallCertificate(other)).toBeUndefined();
});
