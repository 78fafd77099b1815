// Helpers of the tests. They run with Node's test runner: `node --test tests/js/*.test.js`. No browser, no document.

import { readFileSync } from "node:fs";

// Some modules listen to the document when they are imported. A test of their pure functions imports this module first.
globalThis.document ??= /** @type {any} */ (new EventTarget());

// The cases that the Python side is tested with, too: tests/dashboard/<name>.json.
export const sharedCases = (name) => JSON.parse(readFileSync(new URL(`../dashboard/${name}.json`, import.meta.url), "utf8"));
