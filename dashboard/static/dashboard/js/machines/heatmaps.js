// The heatmaps of the page: the use of each device over time, and the mean of each hour of the week.

import { pageWith } from "../live/page-with.js";
import { resourceHeatmap } from "../page/api.js";
import { find } from "../page/dom.js";
import { percent, significant, text, whole } from "../page/format.js";
import { mountResourceHeatmap } from "../widgets/heatmap.js";
import { mountSwitch } from "../widgets/switch.js";
import { niceCeiling } from "./columns.js";
import { filtersNotApplied, lengthOf } from "./heatmap-words.js";

const PARAMETER = "heatmap";
const ROW_PX = 26;
const FRAME_PX = 44;
const LEAST_PX = 120;
const RELOAD_MS = 15 * 60_000; // a mean of four weeks changes slowly
// As dashboard/machines/page.py has them; the first is the default.
/** @type {{name: string, label: string, metric: string, ofHosts?: string, unit?: string}[]} */
const VIEWS = [
  { name: "utilisation", label: "Utilisation", metric: "gpu.utilization_percent", ofHosts: "system.cpu_percent" },
  { name: "memory", label: "Memory", metric: "gpu.memory_percent", ofHosts: "system.memory_percent" },
  { name: "temperature", label: "Temperature", metric: "gpu.temperature", unit: "°C" },
  { name: "power", label: "Power", metric: "gpu.power_draw_watts", unit: "W" },
];
const viewOf = (name) => VIEWS.find((view) => view.name === name) ?? VIEWS[0];
const largest = (values) => values.flat().reduce((most, value) => Math.max(most, value ?? 0), 0);
/** @param {{unit?: string}} view */
const formatOf = ({ unit }) => (value) => text(unit ? { number: value < 10 ? significant(value) : String(Math.round(value)), unit } : percent(value));
const endOf = ({ name }, values) => (name === "power" ? niceCeiling(largest(values)) : 100);
// The page as pictures and files name it: with the filter that applies to machines.
const ofMachines = (page, own = {}) => pageWith(page, { filters: () => (page.filters.host ? { host: page.filters.host } : {}), ...own });
const notApplied = (page) => filtersNotApplied(page.filters, page.settings.filters).map((words) => [words, ""]);

export function mountDeviceHeatmap(root, page) {
  const data = () => page.data.heatmap ?? { view: VIEWS[0].name, rows: [], columns: [] };
  const view = () => viewOf(data().view);
  const plot = find(".plot", root);
  mountSwitch(root, {
    name: PARAMETER, label: "What the heatmap shows", options: VIEWS, onChange: () => page.load({ quiet: true }),
  });
  mountResourceHeatmap(root, ofMachines(page), {
    read: () => {
      const { rows, columns, step_seconds } = data();
      plot.style.height = `${Math.max(LEAST_PX, rows.length * ROW_PX + FRAME_PX)}px`;
      // The rows of hosts have another metric than those of GPUs, so they name it.
      const names = rows.map(({ name, metric }) => (metric === view().ofHosts ? `${name} ${view().name === "memory" ? "memory" : "CPU"}` : name));
      return { rows: names, columns, step_seconds, values: rows.map(({ values }) => values) };
    },
    format: (value) => formatOf(view())(value),
    max: () => endOf(view(), data().rows.map(({ values }) => values)),
    values: () => [...(data().rows_omitted ? [["", `${whole(data().rows_omitted).number} more devices`], [" are not shown", ""]] : []), ...notApplied(page)],
    help: "The mean of each device in each step. Darker means more. GPUs come first, then hosts.",
    fileTitle: () => `${view().label} of each device`,
    metrics: VIEWS.flatMap(({ metric, ofHosts }) => [[metric, "avg"], ...(ofHosts ? [[ofHosts, "avg"]] : [])]),
    emptyText: "No samples in this time range",
  });
}

export function mountWeekHeatmap(root, page) {
  let shown = { view: VIEWS[0], metric: "", result: null };
  let requested = "";
  let readAt = 0;
  const view = () => viewOf(page.data.heatmap?.view);
  const read = async () => {
    const wanted = view();
    const hasGpu = (page.data.heatmap?.rows ?? []).some(({ metric }) => metric === wanted.metric);
    const metric = hasGpu || !wanted.ofHosts ? wanted.metric : wanted.ofHosts;
    const search = new URLSearchParams({ metric, by: "weekday", tz: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC" });
    for (const host of page.filters.host ?? []) search.append("host", host);
    const key = search.toString();
    if (key === requested && performance.now() - readAt < RELOAD_MS) return;
    requested = key;
    readAt = performance.now();
    const result = await resourceHeatmap(key).catch(() => null);
    if (key !== requested) return;
    if (!result) readAt = -Infinity; // the next load tries again
    shown = { view: wanted, metric, result };
    redraw();
  };
  const window = () => (shown.result ? { from: Date.parse(shown.result.from), to: Date.parse(shown.result.to) } : page.window);
  const ofFourWeeks = ofMachines(page, { window, params: () => ({ ...page.params, range: "4w", span: "the last four weeks" }) });
  const redraw = mountResourceHeatmap(root, ofFourWeeks, {
    read: () => shown.result,
    hours: true,
    format: (value) => formatOf(shown.view)(value),
    max: () => endOf(shown.view, shown.result?.values ?? []),
    values: () => [["", page.catalogue[shown.metric]?.title ?? ""], [` · mean of ${lengthOf(shown.result?.hours ?? [])}`, ""], ...notApplied(page)],
    help: "The mean of each hour of the week over the last four weeks, in the time zone of this browser.",
    fileTitle: () => `${page.catalogue[shown.metric]?.title ?? "Use"} by hour and weekday`,
    metrics: VIEWS.map(({ metric }) => [metric, "avg"]),
    emptyText: "No samples in the last four weeks",
  });
  page.topics.on("data", read);
  read();
}
