// CPU, memory and GPU in percent, by machine.

import { percentLabel } from "../charts/axis-labels.js";
import { linesByHost } from "../charts/lines.js";
import { valueAt } from "../live/series.js";
import { percent, significant, text } from "../page/format.js";
import { mountChart } from "../widgets/card.js";
import { busiestNow, runningHosts } from "../widgets/machine-values.js";

const MOST_VALUES = 4; // in the head
const format = (value) => text(percent(value));

// `tile`: the name of its tile. `more(host)`: what the head adds of a single machine. `second`: a further line where there is a single
// machine, {metric, label, colour}. `moreSpansOf`: further metrics whose alerts are shown.
/** @param {HTMLElement} root
 *  @param {import("../live/page.js").Page} page
 *  @param {{ tile: string, metric: string, label: string, help: string, more?: (host: any) => [string, string],
 *   second?: { metric: string, label: string, colour: string } | null, moreSpansOf?: string[] }} spec */
function mountPercent(root, page, { tile, metric, label, help, more = () => [" now", ""], second = null, moreSpansOf = [] }) {
  const metrics = second ? [metric, second.metric] : [metric];
  const lines = () => {
    const byHost = linesByHost(page, metric, "avg");
    if (byHost.length > 1) return byHost;
    const own = { label, points: byHost[0]?.points ?? [], colour: "series-1", fill: !second };
    return second ? [own, { ...second, points: linesByHost(page, second.metric, "avg")[0]?.points ?? [] }] : [own];
  };
  mountChart(root, page, {
    type: "line",
    get legend() {
      return lines().length > 1;
    },
    max: 100,
    help: `${help} The seven busiest machines of the time range have a line each, and the others one together, their mean.`,
    metrics: metrics.map((name) => [name, "avg"]),
    groupBy: "host",
    formatTick: percentLabel,
    spansOf: [...metrics, ...moreSpansOf],
    thresholdsOf: metrics,
    format,
    lines,
    namesSpan: true,
    currentValues: (time) => {
      if (time !== null) {
        const shown = lines().slice(0, MOST_VALUES);
        return shown.map((line) => [shown.length > 1 ? line.label : "", format(valueAt(line.points, time, page.series.step))]);
      }
      const current = page.live ? busiestNow(page, tile) : null;
      const { summary } = page.data;
      if (!current) return [[summary.busiest?.[tile] ?? "", format(summary[`busiest_${tile}_percent`])]];
      const hosts = runningHosts(page);
      return hosts.length === 1 ? [["", format(current.value)], more(hosts[0])] : [[current.host, format(current.value)], [" now", ""]];
    },
    emptyText: "No samples in this time range",
  });
}

export function mountCpu(root, page) {
  mountPercent(root, page, {
    tile: "cpu",
    metric: "system.cpu_percent",
    label: "CPU",
    help: "Use of all cores. In a container, relative to the container's limit.",
    more: (host) => (host.load_average ? [" now · load", significant(host.load_average[0])] : [" now", ""]),
  });
}

export function mountMemory(root, page) {
  mountPercent(root, page, {
    tile: "memory",
    metric: "system.memory_percent",
    label: "Memory",
    help: "Memory in use. In a container, relative to the container's limit.",
    more: (host) => (host.memory_total_gb
      ? [` now · ${significant(host.memory_used_gb)} of ${significant(host.memory_total_gb)} GiB`, ""]
      : [" now", ""]),
  });
}

export function mountGpu(root, page) {
  mountPercent(root, page, {
    tile: "gpu",
    metric: "gpu.utilization_percent",
    label: "utilisation",
    second: { metric: "gpu.memory_percent", label: "memory", colour: "series-2" },
    help: "Share of time in which the GPUs of a machine were busy, on average. A single machine also has the share of their memory in use.",
    moreSpansOf: ["gpu.temperature", "gpu.power_draw_watts", "gpu.memory_used_mb"],
  });
}
