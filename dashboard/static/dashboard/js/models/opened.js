// The card of one model below the table, or its page alone. Its series come with the figures, and its charts see them in
// place of those of the page.

import { pageWith } from "../live/page-with.js";
import { SeriesStore } from "../live/series.js";
import { embeddedJson, find, releaseFocus } from "../page/dom.js";
import * as latency from "../widgets/latency.js";
import * as phases from "../widgets/phases.js";
import * as requests from "../widgets/requests.js";
import { mountServerTable } from "../widgets/server-table.js";
import * as speed from "./speed.js";

const CHARTS = { latency, phases, requests, speed };

export function mount(root, page) {
  const series = new SeriesStore();
  const own = ofModel(page, series);
  let shown = null;
  const load = () => {
    const { opened } = page.data;
    root.hidden = !opened;
    if (!opened || opened.history === shown) return;
    shown = opened.history;
    series.load(shown);
  };
  // Before the charts listen, because they draw what is loaded here.
  for (const topic of ["data", "figures"]) page.topics.on(topic, load);
  load();
  const head = find("[data-table]", root);
  mountServerTable(head, page);
  head.addEventListener("click", (event) => {
    if (!event.target.closest("[data-close]")) return;
    event.preventDefault();
    releaseFocus();
    page.navigate({ set: { open: null } });
  });
  for (const [name, { mount: mountOne }] of Object.entries(CHARTS)) mountOne(find(`[data-widget="${name}"]`, root), own);
}

// The page as the charts of one model see it: with its series, its summary and its filter.
function ofModel(page, series) {
  const specs = embeddedJson("opened-specs");
  return pageWith(page, {
    series: () => series,
    before: () => new SeriesStore(),
    specs: () => specs,
    data: () => ({ ...page.data, summary: page.data.opened?.summary ?? {} }),
    filters: () => ({ ...page.filters, model: page.data.opened ? [page.data.opened.name] : [] }),
    currentValue: () => (_, name) => ({ value: page.data.opened?.summary[name] ?? null, fromWindow: false }),
  });
}
