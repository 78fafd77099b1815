// The table of models: the values of the window, the colour of each model, and its P95 as a sparkline. It has the busiest
// models; where there are more, a search finds the others on the server.

import { saveHistory } from "../charts/export.js";
import { slotOf } from "../charts/palette.js";
import { drawSparkline } from "../charts/sparkline.js";
import { SeriesStore, thin } from "../live/series.js";
import { findModels } from "../page/api.js";
import { element, find, setText, svg, whenTyped } from "../page/dom.js";
import { compact, duration, percent, text, whole } from "../page/format.js";
import { nextFrame, perFrame } from "../page/scheduling.js";
import { mountMenu } from "./menu.js";

const P95 = ["inference.response_time_ms", "p95"];
const TICKS_PER_DRAW = 10;
const COLUMNS = 10;

export function mount(root, page) {
  const body = find("tbody", root);
  const search = find("[data-search]", root);
  let matches = null; // {models, models_omitted, series} of a search
  const draw = perFrame(() => {
    const { models, models_omitted: omitted } = matches ?? page.data;
    const series = matches?.series ?? page.series;
    const total = page.data.summary.total_requests ?? 0;
    search.hidden = !page.data.models_omitted && !search.value;
    const span = page.params.span.replace(/^the /, "");
    setText(find("[data-values]", root), span);
    setText(find("thead th:last-child", root), `P95 trend, ${span}`);
    body.replaceChildren(...models.map((row) => createRow(row, total, slotOf("model", row.model_name), page, series)));
    const note = (text) => body.append(element("tr", {}, element("td", { colspan: COLUMNS, class: "muted" }, text)));
    if (matches?.problem) note(matches.problem);
    else if (!models.length) note(matches ? `No model matches “${search.value.trim()}”.` : "No requests in this time range.");
    if (omitted) note(`Not shown: ${whole(omitted).number} model${omitted === 1 ? "" : "s"}. Search for a part of the name.`);
    document.getElementById("modelled-note").hidden = !models.some((row) => row.modelled);
  });
  const searchAgain = async () => {
    const query = search.value.trim();
    let answer = null;
    if (query) {
      try {
        const { history, ...rows } = await findModels(location.search, query);
        answer = { ...rows, series: new SeriesStore() };
        answer.series.load(history);
      } catch (problem) {
        answer = { models: [], models_omitted: 0, problem: problem.message };
      }
    }
    if (search.value.trim() !== query) return;
    matches = answer;
    draw();
  };
  whenTyped(search, searchAgain);
  for (const topic of ["data", "figures"]) page.topics.on(topic, () => (matches ? searchAgain() : draw()));
  let ticks = 0;
  page.topics.on("tick", () => {
    ticks += 1;
    if (page.live && !matches && ticks % TICKS_PER_DRAW === 0) nextFrame(() => drawSparklines(body, page, page.series));
  });
  mountMenu(root, [
    { label: "Save P95 by model as CSV", onClick: () => saveHistory("csv", { metrics: [P95], groupBy: "model" }, page, "P95 by model") },
    { label: "Save P95 by model as JSON", onClick: () => saveHistory("json", { metrics: [P95], groupBy: "model" }, page, "P95 by model") },
  ]);
  draw();
}

function drawSparklines(root, page, series) {
  const { from, to } = page.window;
  for (const target of root.querySelectorAll("[data-model]")) {
    drawSparkline(target, thin(series.get(...P95, target.dataset.model), from, to));
  }
}

function createRow(row, total, slot, page, series) {
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
  drawSparklines(node, page, series);
  return node;
}
