// The tiles. All show one span: a live page shows the last minute where each tile has a value in the tick, otherwise the
// window. See dashboard/tiles.py.

import { drawSparkline } from "../charts/sparkline.js";
import { percentOf, thin } from "../live/series.js";
import { find, findAll, setText } from "../page/dom.js";
import { NO_DATA, SPACE, whole } from "../page/format.js";
import { perFrame } from "../page/scheduling.js";
import { tileText } from "../page/tile-text.js";
import { busiestNow } from "./machine-values.js";
import { describeValues } from "./sentence.js";

const SPARKLINE_POINTS = 60;

export function mount(root, page) {
  const specs = new Map(page.tiles.map((spec) => [spec.id, spec]));
  const nodes = findAll("[data-tile]", root);
  const draw = perFrame(() => {
    root.setAttribute("aria-label", describeValues(page));
    for (const node of nodes) drawTile(node, specs.get(node.dataset.tile), page);
  });
  for (const topic of ["data", "figures", "tick", "pause"]) page.topics.on(topic, draw);
  page.topics.on("connection", () => root.classList.toggle("stale", page.isDisconnected));
  draw();
}

// The value of a tile in the newest tick. `spec.tick` is a path, whose first part is `hosts`, `gpus`, `queue`, or a name in
// the values of the last minute.
function lastMinuteValue(spec, page) {
  const [first, second] = spec.tick.split(".");
  if (isOfMachines(spec)) return busiestNow(page, spec.id)?.value ?? null;
  if (first === "queue") {
    if (!page.isFiltered) return page.tick?.queue?.[second] ?? null;
    const points = page.series.get(spec.series.metric, spec.series.stat);
    return points.at(-1)?.y ?? points.at(-2)?.y ?? null;
  }
  const value = page.lastMinute?.[first] ?? null;
  return second ? (value?.[second] ?? null) : value;
}

const requestsOf = (minute) => Math.round(60 * (minute.requests_per_second ?? 0));

// Of the tiles of machines, the value is that of the busiest, which is named.
const isOfMachines = (spec) => ["hosts", "gpus"].includes(spec.tick.split(".")[0]);

function drawTile(node, spec, page) {
  const { summary } = page.data;
  const minute = page.showsLastMinute ? { value: lastMinuteValue(spec, page), requests: requestsOf(page.lastMinute) } : null;
  const host = isOfMachines(spec) ? shownHost(spec, page) : null;
  // One machine is not compared with another.
  const ofHost = !host || host === summary.busiest?.[spec.id] ? summary : { ...summary, [spec.summary]: null };
  const { figure: { number, unit }, text, judgement } = tileText(spec, ofHost, minute, page.params.range);
  const numberNode = find("[data-number]", node);
  setText(numberNode, number);
  numberNode.title = number === NO_DATA ? "no data" : "";
  setText(find("[data-unit]", node), unit);
  const aside = find("[data-aside]", node);
  setText(aside, host ?? (spec.id === "queue" ? activeText(page) : ""));
  aside.title = aside.textContent;
  const changeNode = find("[data-change]", node);
  setText(changeNode, text || SPACE);
  changeNode.className = `tile-change ${judgement}`;
  const { about, state } = page.data.sentence ?? {};
  const firing = page.rolling ? page.data.alerts.tiles?.[spec.id] : undefined;
  node.className = `tile ${firing ?? (about === spec.id ? state : "")}`;
  const { from, to } = page.window;
  const points = page.series.get(spec.series.metric, spec.series.stat, host ?? undefined);
  const whole = spec.share_of && page.series.get(spec.share_of.metric, spec.share_of.stat);
  const values = thin(whole ? percentOf(points, whole) : points, from, to, SPARKLINE_POINTS);
  drawSparkline(find("[data-spark]", node), values, { max: spec.format === "percent" && spec.id !== "errors" ? 100 : null });
}

// The name of the machine whose value is shown.
const shownHost = (spec, page) => (page.showsLastMinute ? busiestNow(page, spec.id)?.host : page.data.summary.busiest?.[spec.id]) ?? null;

// The number of requests that are being processed, beside those that wait.
function activeText(page) {
  const useTick = page.showsLastMinute && !page.isFiltered;
  const count = (useTick ? page.tick?.queue?.processing : page.data.summary.avg_queue_processing) ?? null;
  return count === null ? "" : `${whole(count).number}${SPACE}active`;
}
