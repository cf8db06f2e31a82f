// Products against the float64 reference, in Node and a share of them in the browser.

import { SHARE_IN_BROWSER, testCases } from "../harness/cases.ts";

testCases((kernel) => kernel.startsWith("matmul"), SHARE_IN_BROWSER);
