import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { change } from "../../dashboard/static/dashboard/js/page/change.js";
import { FORMATS, ago, betweenMoments, dayOfMonth, hourAndMinute, minutesAndSeconds, timeOfDay, thresholdText, valueText } from "../../dashboard/static/dashboard/js/page/format.js";
import { sharedCases } from "./support.js";

describe("The pages", () => {
  it("format numbers as the server does", () => {
    for (const [name, value, number, unit] of sharedCases("format_cases")) {
      assert.deepEqual(FORMATS[name](value), { number, unit }, `${name} ${value}`);
    }
  });

  it("show units as the server does", () => {
    for (const [unit, value, text, threshold] of sharedCases("unit_cases")) {
      assert.deepEqual([valueText(value, unit), thresholdText(value, unit)], [text, threshold], `${value} ${unit}`);
    }
  });

  it("judge changes as the server does", () => {
    for (const [format, now, before, worse, text, judgement] of sharedCases("change_cases")) {
      assert.deepEqual(change(format, now, before, worse), { text, judgement }, `${format} ${before} to ${now}`);
    }
  });

  it("show how long ago something was in its largest unit", () => {
    assert.deepEqual([0.4, 7, 99, 100, 5400, 200_000].map(ago), ["now", "7 s ago", "99 s ago", "2 min ago", "2 h ago", "2 days ago"]);
  });

  it("count minutes and seconds, and hours from the first on", () => {
    assert.deepEqual([-1, 7, 750, 3900].map(minutesAndSeconds), ["0:00", "0:07", "12:30", "1 h 5 m"]);
  });
});

describe("A span of time", () => {
  const at = (day, hour, minute, second) => new Date(2026, 10, day, hour, minute, second).getTime();
  const from = at(24, 13, 30, 5);

  it("within a day names the day once", () => {
    const to = at(24, 14, 30, 0);
    assert.equal(betweenMoments(from, to), `${dayOfMonth(from)}, ${hourAndMinute(from)} to ${hourAndMinute(to)}`);
  });

  it("within a minute has seconds", () => {
    const to = at(24, 13, 30, 45);
    assert.equal(betweenMoments(from, to), `${dayOfMonth(from)}, ${timeOfDay(from)} to ${timeOfDay(to)}`);
  });

  it("over days names both", () => {
    const to = at(25, 14, 30, 0);
    assert.equal(betweenMoments(from, to), `${dayOfMonth(from)}, ${hourAndMinute(from)} to ${dayOfMonth(to)}, ${hourAndMinute(to)}`);
  });
});
