// The table of models: sorted and searched by the server, by parameters of the address. A click on a row opens its card.

import { saveHistory } from "../charts/export.js";
import { drawSparkline } from "../charts/sparkline.js";
import { parameter, replaceAddress } from "../page/address.js";
import { thin } from "../live/series.js";
import { find, findAll, setText, whenTyped, releaseFocus } from "../page/dom.js";
import { mountMenu } from "../widgets/menu.js";
import { mountServerTable } from "../widgets/server-table.js";

const P95 = ["inference.response_time_ms", "p95"];
const TICKS_PER_DRAW = 10;

export function mount(root, page) {
  const target = find("[data-table]", root);
  const search = find("[data-search]", root);
  let focused = null; // the head that was clicked, which has the focus again after the table is drawn
  const drawLines = () => {
    const { from, to } = page.window;
    for (const line of findAll("[data-spark]", target)) {
      drawSparkline(line, thin(page.series.get(...P95, line.dataset.model), from, to));
    }
  };
  mountServerTable(target, page, {
    onDraw(_, isNew) {
      setText(find("[data-values]", root), page.params.span.replace(/^the /, ""));
      drawLines();
      if (!isNew) return;
      if (focused) find(focused, target)?.focus({ preventScroll: true });
      focused = null;
    },
  });
  let ticks = 0;
  page.topics.on("tick", () => {
    ticks += 1;
    if (page.live && ticks % TICKS_PER_DRAW === 0) drawLines();
  });
  target.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const sort = event.target.closest("[data-sort]");
    const row = event.target.closest("[data-open-name]");
    if (!sort && !row) return;
    event.preventDefault();
    // A table with the focus in it is not drawn again.
    releaseFocus();
    if (sort) {
      focused = `[data-column="${sort.dataset.column}"]`;
      page.navigate({ set: { sort: sort.dataset.sort } });
    } else {
      const { openName: name } = row.dataset;
      page.navigate({ set: { open: parameter("open") === name ? null : name } });
    }
  });
  whenTyped(search, () => {
    replaceAddress({ set: { search: search.value.trim() || null } });
    page.load({ quiet: true });
  });
  mountMenu(root, [
    { label: "Save P95 by model as CSV", onClick: () => saveHistory("csv", { metrics: [P95], groupBy: "model" }, page, "P95 by model") },
    { label: "Save P95 by model as JSON", onClick: () => saveHistory("json", { metrics: [P95], groupBy: "model" }, page, "P95 by model") },
  ]);
}
