// Attention against the float64 reference, in Node and in the browser.

import { testCases } from "../harness/cases.ts";

testCases((kernel) => kernel.startsWith("attention"));
