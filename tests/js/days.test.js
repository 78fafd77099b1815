// The availability of the last days, one box a day.

import assert from "node:assert/strict";
import { test } from "node:test";

import { daysUntil, partsOfDay } from "../../dashboard/static/dashboard/js/system/days.js";

const DAY = 86_400_000;
const HOUR = DAY / 24;
const noon = new Date(2026, 2, 15, 12).getTime();
const today = daysUntil(noon, 1)[0];

test("the last day is today, from midnight to midnight", () => {
  const days = daysUntil(noon, 30);
  assert.equal(days.length, 30);
  assert.equal(days.at(-1).from, new Date(2026, 2, 15).getTime());
  assert.equal(days[0].from, new Date(2026, 1, 14).getTime());
  days.slice(1).forEach(({ from }, index) => assert.equal(from, days[index].to));
});

test("a day is up as far as it was watched", () => {
  const parts = partsOfDay(today, { since: today.from + 6 * HOUR, until: today.from + 12 * HOUR, down: [], unknown: [] });
  assert.deepEqual(parts.map(({ state, left, width }) => [state, left, width]), [["up", 25, 25]]);
});

test("an outage over midnight is in both days", () => {
  const [yesterday, last] = daysUntil(noon, 2);
  const down = [[last.from - HOUR, last.from + HOUR]];
  const widths = [yesterday, last].map((day) => partsOfDay(day, { since: 0, until: noon, down, unknown: [] }).find(({ state }) => state === "down").width);
  assert.ok(widths.every((width) => Math.abs(width - 100 / 24) < 1e-9));
});

test("a day before the first watched one has no parts", () => {
  assert.deepEqual(partsOfDay(today, { since: today.to + 1, until: today.to + DAY, down: [], unknown: [] }), []);
});
