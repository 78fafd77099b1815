// The table of models, which the server renders, with the P95 of each as a sparkline. It has the busiest models; where there
// are more, a search finds the others on the server.

import { saveHistory } from "../charts/export.js";
import { drawSparkline } from "../charts/sparkline.js";
import { SeriesStore, thin } from "../live/series.js";
import { findModels } from "../page/api.js";
import { find, findAll, setText, whenTyped } from "../page/dom.js";
import { nextFrame } from "../page/scheduling.js";
import { mountMenu } from "./menu.js";
import { mountServerTable } from "./server-table.js";

const P95 = ["inference.response_time_ms", "p95"];
const TICKS_PER_DRAW = 10;

export function mount(root, page) {
  const target = find("[data-table]", root);
  const search = find("[data-search]", root);
  const problem = find("[data-problem]", root);
  let found = null; // {table, series} of a search
  const drawLines = () => {
    const { from, to } = page.window;
    const series = found?.series ?? page.series;
    for (const line of findAll("[data-spark]", target)) drawSparkline(line, thin(series.get(...P95, line.dataset.model), from, to));
  };
  const draw = mountServerTable(target, page, {
    html: () => found?.table,
    onDraw() {
      search.hidden = !page.data.models_omitted && !search.value;
      setText(find("[data-values]", root), page.params.span.replace(/^the /, ""));
      document.getElementById("modelled-note").hidden = !find("[data-modelled]", target);
      drawLines();
    },
  });
  const searchAgain = async () => {
    const query = search.value.trim();
    let answer = null;
    let message = "";
    if (query) {
      try {
        const { table, history } = await findModels(location.search, query);
        answer = { table, series: new SeriesStore() };
        answer.series.load(history);
      } catch (failure) {
        answer = found;
        message = failure.message;
      }
    }
    if (search.value.trim() !== query) return;
    found = answer;
    problem.hidden = !message;
    setText(problem, message);
    draw();
  };
  whenTyped(search, searchAgain);
  for (const topic of ["data", "figures"]) page.topics.on(topic, () => search.value.trim() && searchAgain());
  let ticks = 0;
  page.topics.on("tick", () => {
    ticks += 1;
    if (page.live && !found && ticks % TICKS_PER_DRAW === 0) nextFrame(drawLines);
  });
  mountMenu(root, [
    { label: "Save P95 by model as CSV", onClick: () => saveHistory("csv", { metrics: [P95], groupBy: "model" }, page, "P95 by model") },
    { label: "Save P95 by model as JSON", onClick: () => saveHistory("json", { metrics: [P95], groupBy: "model" }, page, "P95 by model") },
  ]);
}
