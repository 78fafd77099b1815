// The table of models: the values of the window, the colour of each model, and its P95 as a sparkline.

import { saveHistory } from "../charts/export.js";
import { slotsOf } from "../charts/palette.js";
import { drawSparkline } from "../charts/sparkline.js";
import { thin } from "../live/series.js";
import { element, find, setText, svg } from "../page/dom.js";
import { compact, duration, percent, text, whole } from "../page/format.js";
import { nextFrame } from "../page/scheduling.js";
import { mountMenu } from "./card.js";

const P95 = ["inference.response_time_ms", "p95"];
const MAX_ROWS = 20; // until the user asks for all of them
const TICKS_PER_DRAW = 10;
const COLUMNS = 10;

export function mount(root, page) {
  const body = find("tbody", root);
  let showAll = false;
  const draw = () => nextFrame(() => {
    const { models } = page.data;
    const shown = showAll ? models : models.slice(0, MAX_ROWS);
    const total = models.reduce((sum, row) => sum + (row.total_requests ?? 0), 0);
    const slots = slotsOf(models.map((row) => row.model_name));
    const span = page.params.span.replace(/^the /, "");
    setText(find("[data-values]", root), span);
    setText(find("thead th:last-child", root), `P95 trend, ${span}`);
    body.replaceChildren(...shown.map((row) => createRow(row, total, slots.get(row.model_name), page)));
    if (shown.length < models.length) {
      const onClick = () => {
        showAll = true;
        draw();
      };
      const button = element("button", { type: "button", class: "mini", on: { click: onClick } }, `Show ${models.length - shown.length} more`);
      body.append(element("tr", {}, element("td", { colspan: COLUMNS }, button)));
    }
    if (!models.length) body.append(element("tr", {}, element("td", { colspan: COLUMNS, class: "muted" }, "No requests in this time range.")));
    document.getElementById("modelled-note").hidden = !models.some((row) => row.modelled);
  });
  for (const topic of ["data", "figures"]) page.topics.on(topic, draw);
  let ticks = 0;
  page.topics.on("tick", () => {
    ticks += 1;
    if (page.live && ticks % TICKS_PER_DRAW === 0) nextFrame(() => drawSparklines(body, page));
  });
  mountMenu(root, [
    { label: "Save P95 by model as CSV", onClick: () => saveHistory("csv", [P95], page, "model") },
    { label: "Save P95 by model as JSON", onClick: () => saveHistory("json", [P95], page, "model") },
  ]);
  draw();
}

function drawSparklines(root, page) {
  const { from, to } = page.window;
  for (const target of root.querySelectorAll("[data-model]")) {
    drawSparkline(target, thin(page.series.get(...P95, target.dataset.model), from, to));
  }
}

function createRow(row, total, slot, page) {
  const { is_slow: isSlow, is_failing: isFailing } = row; // from dashboard/overview/health.py
  const cell = (content, kind = "", glyph = "") => element("td", { class: `figure ${kind}` }, glyph + content);
  const showModel = () => page.navigate({ filters: { model: [row.model_name] } });
  const sparkline = svg("svg", {
    class: `spark slot-${slot}`, viewBox: "0 0 100 26", preserveAspectRatio: "none", "aria-hidden": "true", "data-model": row.model_name,
  });
  const node = element("tr", {},
    element("th", { scope: "row" },
      element("span", { class: `swatch slot-${slot}`, "aria-hidden": "true" }),
      element("button", { type: "button", class: "link", title: `Show only ${row.model_name}`, on: { click: showModel } }, element("bdi", {}, row.model_name)),
      row.modelled ? element("span", { class: "tag", title: "Response times are modelled from the token counts" }, "modelled") : null),
    cell(text(whole(row.total_requests)), "wide"),
    cell(text(percent(total ? (100 * row.total_requests) / total : null)), "wide"),
    cell(text(duration(row.p50_response_time_ms))),
    cell(text(duration(row.p95_response_time_ms)), isSlow ? "warning" : "", isSlow ? "▲ " : ""),
    cell(text(duration(row.p99_response_time_ms)), "wide"),
    cell(text(duration(row.p95_ttft_ms)), "wide"),
    cell(text(compact(row.avg_tokens_per_second, "tok/s")), "wide"),
    cell(text(percent(row.error_rate_percent)), isFailing ? "critical" : "", isFailing ? "■ " : ""),
    element("td", { class: "figure wide" }, sparkline));
  drawSparklines(node, page);
  return node;
}
