// A table of models, which the server renders, with the P95 of each as a sparkline.

import { saveHistory } from "../charts/export.js";
import { drawSparkline } from "../charts/sparkline.js";
import { thin } from "../live/series.js";
import { find, findAll, setText } from "../page/dom.js";
import { nextFrame } from "../page/scheduling.js";
import { mountMenu } from "./menu.js";
import { mountServerTable } from "./server-table.js";

/** @type {[metric: string, stat: string]} */
const P95 = ["inference.response_time_ms", "p95"];
const TICKS_PER_DRAW = 10;

// `found()`: {table, series} that are shown instead of those of the page; `onDraw(isNew)`: see server-table.js. Returns a
// function that draws the table again.
/** @param {HTMLElement} root
 *  @param {import("../live/page.js").Page} page
 *  @param {{ found?: () => { table: string, series: import("../live/series.js").SeriesStore } | null, onDraw?: (isNew: boolean) => void }} [options] */
export function mountModelsTable(root, page, { found = () => null, onDraw = () => {} } = {}) {
  const target = find("[data-table]", root);
  const drawLines = () => {
    const { from, to } = page.window;
    const series = found()?.series ?? page.series;
    for (const line of findAll("[data-spark]", target)) drawSparkline(line, thin(series.get(...P95, line.dataset.model), from, to));
  };
  const draw = mountServerTable(target, page, {
    html: () => found()?.table,
    onDraw(_, isNew) {
      setText(find("[data-values]", root), page.params.span.replace(/^the /, ""));
      drawLines();
      onDraw(isNew);
    },
  });
  let ticks = 0;
  page.topics.on("tick", () => {
    ticks += 1;
    if (page.live && !found() && ticks % TICKS_PER_DRAW === 0) nextFrame(drawLines);
  });
  const save = (extension) => saveHistory(extension, { metrics: [P95], groupBy: "model" }, page, "P95 by model");
  mountMenu(root, [
    { label: "Save P95 by model as CSV", onClick: () => save("csv") },
    { label: "Save P95 by model as JSON", onClick: () => save("json") },
  ]);
  return draw;
}
