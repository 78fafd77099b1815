// The table of models: the window's figures, the colour that a model has everywhere, its P95 as a line.

import { saveHistory } from "../charts/export.js";
import { slotsOf } from "../charts/palette.js";
import { drawSparkline } from "../charts/sparkline.js";
import { thin } from "../live/series.js";
import { element, find, setText, svg } from "../page/dom.js";
import { compact, duration, percent, text, whole } from "../page/format.js";
import { nextFrame } from "../page/scheduling.js";
import { mountMenu } from "./card.js";

const P95 = ["inference.response_time_ms", "p95"];
const MOST_ROWS = 20;

export function mount(root, page) {
  const body = find("tbody", root);
  let all = false;
  const draw = () => nextFrame(() => {
    const models = page.data.models;
    const shown = all ? models : models.slice(0, MOST_ROWS);
    const total = models.reduce((sum, row) => sum + (row.total_requests ?? 0), 0);
    const slots = slotsOf(models.map((row) => row.model_name));
    const more = models.length - shown.length;
    setText(find("[data-now]", root), page.params.span.replace(/^the /, ""));
    setText(find("thead th:last-child", root), `P95, ${page.params.span.replace(/^the /, "")}`);
    body.replaceChildren(...shown.map((row) => makeRow(row, total, slots.get(row.model_name), page)));
    if (more > 0) {
      body.append(element("tr", {}, element("td", { colspan: 10 },
        element("button", { type: "button", class: "mini", on: { click: () => { all = true; draw(); } } }, `Show ${more} more`))));
    }
    if (!models.length) body.append(element("tr", {}, element("td", { colspan: 10, class: "muted" }, "No requests in this time range.")));
    document.getElementById("modelled-note").hidden = !models.some((row) => row.modelled);
  });
  for (const topic of ["data", "figures"]) page.topics.on(topic, draw);
  let ticks = 0;
  page.topics.on("tick", () => {
    ticks += 1;
    if (page.live && ticks % 10 === 0) nextFrame(() => drawSparks(body, page));
  });
  mountMenu(root, [
    { words: "Save P95 by model as CSV", act: () => saveHistory("csv", [P95], page, "model") },
    { words: "Save P95 by model as JSON", act: () => saveHistory("json", [P95], page, "model") },
  ]);
  draw();
}

function drawSparks(body, page) {
  const { from, to } = page.window;
  for (const target of body.querySelectorAll("[data-model]")) {
    drawSparkline(target, thin(page.series.get(...P95, target.dataset.model), from, to));
  }
}

function makeRow(row, total, slot, page) {
  const { from, to } = page.window;
  const spark = svg("svg", { class: `spark slot-${slot}`, viewBox: "0 0 100 26", preserveAspectRatio: "none", "aria-hidden": "true", "data-model": row.model_name });
  drawSparkline(spark, thin(page.series.get(...P95, row.model_name), from, to));
  const { is_slow: slow, is_failing: failing } = row; // judged by dashboard/overview/health.py
  const cell = (words, kind = "", mark = "") => element("td", { class: `figure ${kind}` }, mark + words);
  const choose = () => page.go({ filters: { model: [row.model_name] } });
  return element("tr", {},
    element("th", { scope: "row" },
      element("span", { class: `swatch slot-${slot}`, "aria-hidden": "true" }),
      element("button", { type: "button", class: "link", title: `Show only ${row.model_name}`, on: { click: choose } }, element("bdi", {}, row.model_name)),
      row.modelled ? element("span", { class: "tag", title: "Response times are modelled from the token counts" }, "modelled") : null),
    cell(text(whole(row.total_requests)), "wide"),
    cell(text(percent(total ? (100 * row.total_requests) / total : null)), "wide"),
    cell(text(duration(row.p50_response_time_ms))),
    cell(text(duration(row.p95_response_time_ms)), slow ? "warning" : "", slow ? "▲ " : ""),
    cell(text(duration(row.p99_response_time_ms)), "wide"),
    cell(text(duration(row.p95_ttft_ms)), "wide"),
    cell(text(compact(row.avg_tokens_per_second, "tok/s")), "wide"),
    cell(text(percent(row.error_rate_percent)), failing ? "critical" : "", failing ? "■ " : ""),
    element("td", { class: "wide spark-cell figure" }, spark));
}
