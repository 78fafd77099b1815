// CPU, memory and GPU of the machines, in percent.

import { percentLabel } from "../charts/axis-labels.js";
import { valueAt } from "../live/series.js";
import { percent, significant, text } from "../page/format.js";
import { mountChart } from "./card.js";
import { average, runningHosts } from "./machine-values.js";

const format = (value) => text(percent(value));

// `lines`: [{metric, label, colour}]. `summaryName`: the name of the first line's value in the summary.
// `liveValues(hosts)`: the values for the head while the page is live. `moreSpansOf`: further metrics whose alerts are shown.
function mountPercent(root, page, { help, lines, summaryName, liveValues, moreSpansOf = [] }) {
  const single = lines.length === 1;
  mountChart(root, page, {
    type: "line",
    legend: !single,
    max: 100,
    help,
    metrics: lines.map(({ metric }) => [metric, "avg"]),
    formatTick: percentLabel,
    spansOf: [...lines.map(({ metric }) => metric), ...moreSpansOf],
    thresholdsOf: lines.map(({ metric }) => metric),
    format,
    lines: () => lines.map(({ metric, ...line }) => ({ ...line, fill: single, points: page.series.get(metric, "avg") })),
    currentValues: (time) => {
      const labelled = ({ label }, value) => [single ? "" : label, format(value)];
      if (time !== null) {
        return lines.map((line) => labelled(line, valueAt(page.series.get(line.metric, "avg"), time, page.series.step)));
      }
      return page.live ? liveValues(runningHosts(page)) : [labelled(lines[0], page.data.summary[summaryName])];
    },
    emptyText: "No samples in this time range",
  });
}

export function mountCpu(root, page) {
  mountPercent(root, page, {
    help: "Use of all cores, average of the machines shown. In a container, relative to the container's limit.",
    lines: [{ metric: "system.cpu_percent", label: "CPU", colour: "series-1" }],
    summaryName: "avg_cpu_percent",
    liveValues: (hosts) => [
      ["", format(average(hosts.map((host) => host.cpu_percent)))],
      hosts.length === 1 && hosts[0].load_average ? [" now · load", significant(hosts[0].load_average[0])] : [" now", ""],
    ],
  });
}

export function mountMemory(root, page) {
  mountPercent(root, page, {
    help: "Memory in use, average of the machines shown. In a container, relative to the container's limit.",
    lines: [{ metric: "system.memory_percent", label: "Memory", colour: "series-1" }],
    summaryName: "avg_memory_percent",
    liveValues: (hosts) => [
      ["", format(average(hosts.map((host) => host.memory_percent)))],
      hosts.length === 1 && hosts[0].memory_total_gb
        ? [` now · ${significant(hosts[0].memory_used_gb)} of ${significant(hosts[0].memory_total_gb)} GiB`, ""]
        : [" now", ""],
    ],
  });
}

export function mountGpu(root, page) {
  mountPercent(root, page, {
    help: "Utilisation is the share of time in which the GPU was busy. Memory is the share of the GPU's memory in use. Averages of the GPUs shown.",
    lines: [
      { metric: "gpu.utilization_percent", label: "utilisation", colour: "series-1" },
      { metric: "gpu.memory_percent", label: "memory", colour: "series-2" },
    ],
    moreSpansOf: ["gpu.temperature", "gpu.power_draw_watts", "gpu.memory_used_mb"],
    summaryName: "avg_gpu_utilization_percent",
    liveValues: (hosts) => {
      const gpus = hosts.flatMap((host) => host.gpu_metrics ?? []);
      return [
        ["", format(average(gpus.map((gpu) => gpu.utilization_percent)))],
        ["memory", format(average(gpus.map((gpu) => gpu.memory_percent)))],
      ];
    },
  });
}
