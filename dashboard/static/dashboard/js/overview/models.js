// The table of the busiest models. Where there are more, a search finds the others on the server.

import { SeriesStore } from "../live/series.js";
import { findModels } from "../page/api.js";
import { find, setText, whenTyped } from "../page/dom.js";
import { mountModelsTable } from "../widgets/models-table.js";

export function mount(root, page) {
  const search = find("[data-search]", root);
  const problem = find("[data-problem]", root);
  let found = null; // {table, series} of a search
  const draw = mountModelsTable(root, page, {
    found: () => found,
    onDraw() {
      search.hidden = !page.data.models_omitted && !search.value;
      document.getElementById("modelled-note").hidden = !find("[data-modelled]", root);
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
}
