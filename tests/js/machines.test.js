import assert from "node:assert/strict";
import { describe, it } from "node:test";

import "./support.js";
import { axisLabels } from "../../dashboard/static/dashboard/js/machines/axis.js";
import { changeText } from "../../dashboard/static/dashboard/js/machines/cell.js";
import { GPU_COLUMNS, niceCeiling, throttleText } from "../../dashboard/static/dashboard/js/machines/columns.js";
import { gpusOf, hostsInOrder, hostsOfLines } from "../../dashboard/static/dashboard/js/machines/devices.js";
import { filtersNotApplied, lengthOf } from "../../dashboard/static/dashboard/js/machines/heatmap-words.js";
import { Lines, bandPath, changeOf, heightOf, lastKnown, linePath } from "../../dashboard/static/dashboard/js/machines/lines.js";

describe("The picture of a device", () => {
  it("has a line with gaps", () => {
    assert.equal(linePath([0, null, 50, 100], 4, [0, 100]), "M12.50,40.00L13.00,40.00M62.50,20.00L87.50,0.00");
    assert.equal(linePath(null, 4, [0, 100]), "");
  });

  it("has a band from the lowest to the highest values", () => {
    assert.equal(bandPath([0, 0], [100, 50], 2, [0, 100]), "M25.00,0.00L75.00,20.00L75.00,40.00L25.00,40.00Z");
  });

  it("has a threshold where the scale has it", () => {
    assert.equal(heightOf(85, [20, 100]), 7.5);
    assert.equal(heightOf(120, [0, 100]), null);
  });
});

describe("The time axis of the pictures of devices", () => {
  const HOUR = 3_600_000;
  const to = Date.UTC(2026, 10, 30, 16, 7);

  it("names each day once, and each hour of a day", () => {
    for (const hours of [0.25, 1, 6, 24, 36, 40, 47, 48, 60, 72, 80, 96, 168, 720]) {
      const labels = axisLabels(to - hours * HOUR, to);
      const texts = labels.map(({ text }) => text);
      const repeated = texts.filter((text, index) => texts.indexOf(text) !== index && (hours <= 24 || !text.includes(":")));
      assert.ok(texts.length >= 1 && texts.length <= 5, `${hours} hours: ${texts}`);
      assert.deepEqual(repeated, [], `${hours} hours: ${texts}`);
      assert.ok(labels.every(({ share }) => share > 0 && share < 1));
    }
  });

  it("has days for two days and more, and hours and midnights for less", () => {
    const first = (hours) => axisLabels(to - hours * HOUR, to)[0].text;
    assert.match(first(1), /^\d\d:\d\d$/);
    assert.doesNotMatch(first(96), /:/);
  });

  it("is empty without data", () => {
    assert.deepEqual(axisLabels(0, 0), []);
  });
});

describe("The lines of devices", () => {
  const series = (labels, metric, values) => ({ metric, stat: "avg", labels, values });
  const lines = new Lines({
    start: 60_000, step_seconds: 60,
    series: [
      series({ host: "a" }, "system.cpu_percent", [10, 20, null]),
      series({ host: "a", gpu: "1" }, "gpu.temperature", [60, 70, 80]),
    ],
  });

  it("are told apart by host and GPU", () => {
    assert.deepEqual(lines.get("gpu.temperature", "avg", { host: "a", gpu: "1" }), [60, 70, 80]);
    assert.equal(lines.get("gpu.temperature", "avg", { host: "a", gpu: "0" }), null);
    assert.equal(lines.indexAt(130_000), 1);
  });

  it("give the last values of a window that has passed", () => {
    const [host] = hostsOfLines(lines, lastKnown);
    assert.equal(host.cpu_percent, 20);
    assert.equal(host.gpu_metrics[0].gpu_id, "1");
    assert.equal(host.gpu_metrics[0].temperature, 80);
  });
});

describe("The hosts", () => {
  const many = (count) => Array.from({ length: count }, (_, index) => ({ host: `h${10 + index}`, cpu_percent: index, is_demo: index === 3 }));

  it("are in the order of their names, with those of demo data last", () => {
    assert.deepEqual(hostsInOrder(many(5)).map(({ host }) => host), ["h10", "h11", "h12", "h14", "h13"]);
  });

  it("begin with the busiest where there are many", () => {
    assert.deepEqual(hostsInOrder(many(20)).slice(0, 2).map(({ host }) => host), ["h29", "h28"]);
  });
});

describe("The GPUs", () => {
  const hosts = [
    { host: "a", is_demo: true, gpu_metrics: [{ gpu_id: 0, utilization_percent: 9 }] },
    { host: "z", gpu_metrics: [{ gpu_id: 0, utilization_percent: null }, { gpu_id: 1, utilization_percent: 1 }] },
  ];
  const order = (busiest) => gpusOf(hosts, busiest).map(({ of, gpu_id: gpu }) => `${of.host}${gpu}`);

  it("are in the order of their hosts, with those of demo data last", () => assert.deepEqual(order(false), ["z0", "z1", "a0"]));
  it("are in the order of their utilisation where it is asked for", () => assert.deepEqual(order(true), ["a0", "z1", "z0"]));
});

describe("A column", () => {
  it("ends at a round value", () => assert.deepEqual([0, 3, 700, 850, 1000].map(niceCeiling), [1, 4, 800, 1000, 1000]));

  it("shows power as a share of its limit", () => {
    const power = GPU_COLUMNS.find(({ title }) => title === "Power");
    assert.equal(power.note({ power_draw_watts: 300, power_limit_watts: 400 }), "75\u00a0% of 400");
    assert.equal(power.note({ power_draw_watts: 300 }), "");
    assert.deepEqual(power.scale([{ power_limit_watts: 400 }], [50, 380]), [0, 400]);
  });

  it("names why a GPU is throttled, where it is not only its power cap", () => {
    assert.deepEqual([null, [], ["sw_power_cap"], ["hw_slowdown"]].map(throttleText), ["", "not throttled", "not throttled", "▲ hw slowdown"]);
  });

  it("shows the change against the time before in points", () => {
    assert.deepEqual([2, 1.1, -1.8, 0.2, null].map(changeText), ["▲ 2\u00a0points", "▲ 1\u00a0point", "▼ 2\u00a0points", "", ""]);
  });

  it("is not compared with a time that has too few values", () => {
    assert.equal(changeOf([10, 20, 30, 40], [5, null, null, 15]), 15);
    assert.equal(changeOf([10, 20, 30, 40], [5, null, null, null]), null);
    assert.equal(changeOf([], []), null);
  });
});

describe("The head of a heatmap of machines", () => {
  const week = (hours) => new Array(7).fill(new Array(24).fill(hours));

  it("says of how much data it is the mean", () => {
    assert.equal(lengthOf(week(4)), "4 weeks");
    assert.equal(lengthOf(week(1)), "1 week");
    assert.equal(lengthOf(week(0).with(0, new Array(24).fill(1)).with(1, new Array(24).fill(2))), "3 days");
    assert.equal(lengthOf(week(0).with(0, [1, 0])), "1 hour");
  });

  it("names the filters that do not apply to machines", () => {
    assert.deepEqual(filtersNotApplied({ host: ["g"] }, { host: "Machine" }), []);
    assert.deepEqual(filtersNotApplied({ model: ["m"] }, {}), ["the filter by model does not apply"]);
    assert.deepEqual(filtersNotApplied({ model: ["m"], provider: ["p"] }, { provider: "Provider" }), ["the filters by model and provider do not apply"]);
  });
});
