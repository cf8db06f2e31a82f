// Attention against the float64 reference, in Node and a share of it in the browser.

import { SHARE_IN_BROWSER, testCases } from "../harness/cases.ts";

testCases((kernel) => kernel.startsWith("attention"), SHARE_IN_BROWSER);
