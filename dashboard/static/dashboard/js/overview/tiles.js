// The tiles: the last minute while the page is live, the window otherwise; the change is always window against window.
// Where the last minute has no figure that of the window stands in, and the tile says so.

import { drawSparkline } from "../charts/sparkline.js";
import { thin } from "../live/series.js";
import { change } from "../page/change.js";
import { find, findAll, setText } from "../page/dom.js";
import { FORMATS, NO_DATA, SPACE, whole } from "../page/format.js";
import { nextFrame } from "../page/scheduling.js";
import { hostsShown, mean } from "../widgets/machine-values.js";
import { figuresOf } from "./sentence.js";

const POINTS = 60;

export function mount(root, page) {
  const tiles = findAll("[data-tile]", root).map((node) => ({ node, spec: page.tiles.find((spec) => spec.id === node.dataset.tile) }));
  const draw = () => nextFrame(() => {
    root.setAttribute("aria-label", `Values of ${figuresOf(page)}`);
    tiles.forEach(({ node, spec }) => drawTile(node, spec, page));
  });
  for (const topic of ["data", "tick", "pause"]) page.topics.on(topic, draw);
  page.topics.on("connection", () => root.classList.toggle("stale", page.connection.state === "disconnected"));
  draw();
}

// Where a tile's figure stands in a tick.
function minuteOf(spec, page) {
  const [first, second] = spec.tick.split(".");
  if (first === "hosts") return mean(hostsShown(page).map((host) => host[second]));
  if (first === "gpus") return mean(hostsShown(page).flatMap((host) => host.gpu_metrics ?? []).map((gpu) => gpu[second]));
  if (first === "queue") {
    if (!page.isFiltered) return page.tick?.queue?.[second] ?? null;
    const points = page.series.get(...spec.series.split("|"));
    return points.at(-1)?.y ?? points.at(-2)?.y ?? null;
  }
  const found = page.figures?.[first];
  return second ? (found?.[second] ?? null) : (found ?? null);
}

function drawTile(node, spec, page) {
  const { summary } = page.data;
  const { value, standsIn } = page.figure(() => minuteOf(spec, page), spec.summary);
  const { number, unit } = FORMATS[spec.format](value);
  const figure = find("[data-number]", node);
  setText(figure, number);
  figure.title = number === NO_DATA ? "no data" : "";
  setText(find("[data-unit]", node), unit);
  setText(find("[data-aside]", node), standsIn ? page.params.range : spec.id === "queue" ? inWork(page) : "");
  const before = summary.comparable ? summary.previous?.[spec.summary] : null;
  const moved = change(spec.format, summary[spec.summary], before, spec.worse);
  const target = find("[data-change]", node);
  setText(target, moved.text || SPACE);
  target.className = `tile-change ${moved.judgement}`;
  const { about, state } = page.data.sentence;
  node.className = `tile ${about === spec.id ? state : ""}`;
  const { from, to } = page.window;
  const points = page.series.get(...spec.series.split("|"));
  drawSparkline(find("[data-spark]", node), thin(points, from, to, POINTS), { most: spec.format === "percent" && spec.id !== "errors" ? 100 : null });
}

// Beside what waits: what is being worked on.
function inWork(page) {
  const processing = page.showsMinute && !page.isFiltered ? page.tick?.queue?.processing : page.data.summary.avg_queue_processing;
  return processing === null || processing === undefined ? "" : `${whole(processing).number}${SPACE}active`;
}
