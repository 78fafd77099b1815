// Values of the machines that the page shows.

import { OTHERS, lastValue } from "../live/series.js";

const isKnown = (value) => value !== null && value !== undefined;

function average(values) {
  const known = values.filter(isKnown);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

// Hosts of demo data last, then by name.
export const byHost = (a, b) => Number(a.is_demo ?? false) - Number(b.is_demo ?? false) || (a.host < b.host ? -1 : a.host > b.host ? 1 : 0);

// The machines that pass the filter.
export function chosenHosts(page) {
  const chosen = page.filters.host ?? [];
  return page.hosts.filter((host) => !chosen.length || chosen.includes(host.host)).sort(byHost);
}

// Those of them that are not down.
export const runningHosts = (page) => chosenHosts(page).filter((host) => host.state !== "down");

const NEWEST = 2; // buckets
/** @type {Record<string, { metric: string, read: (host: any) => number | null | undefined }>} */
const FIGURES = {
  cpu: { metric: "system.cpu_percent", read: (host) => host.cpu_percent },
  memory: { metric: "system.memory_percent", read: (host) => host.memory_percent },
  gpu: { metric: "gpu.utilization_percent", read: (host) => average((host.gpu_metrics ?? []).map((gpu) => gpu.utilization_percent)) },
};

// The machine that is the busiest now, by the name of a tile: {host, value}; null without samples. A tick does not have all of
// very many machines: then it is that of the lines. As dashboard/overview/last_minute.py has it.
export function busiestNow(page, tile) {
  const { metric, read } = FIGURES[tile];
  const values = page.tick?.hosts_omitted
    ? page.series.labels(metric, "avg").filter((label) => label !== OTHERS)
      .map((host) => ({ host, value: lastValue(page.series.get(metric, "avg", host), NEWEST) }))
    : runningHosts(page).map((host) => ({ host: host.host, value: read(host) }));
  return values.filter(({ value }) => isKnown(value)).sort((a, b) => b.value - a.value || (a.host < b.host ? -1 : 1))[0] ?? null;
}
