// CPU, memory and GPU of the machines shown, in percent on a fixed axis.

import { percentMark } from "../charts/axis-labels.js";
import { at as valueAt } from "../live/series.js";
import { percent, significant, text } from "../page/format.js";
import { mountChart } from "./card.js";
import { hostsShown, mean } from "./machine-values.js";

function mountPercent(root, page, { help, lines, words }) {
  const say = (value) => text(percent(value));
  return mountChart(root, page, {
    type: "line",
    legend: lines.length > 1,
    max: 100,
    help,
    metrics: lines.map(({ metric }) => [metric, "avg"]),
    words: percentMark,
    say,
    lines: ({ series }) => lines.map(({ metric, ...line }) => ({ ...line, fill: lines.length === 1, points: series.get(metric, "avg") })),
    now: (own, time) => {
      if (time !== null || !own.live) {
        return lines.map(({ metric, label }) => {
          const points = own.series.get(metric, "avg");
          const value = time === null ? own.data.summary[words.summary] : valueAt(points, time, own.series.step);
          return [lines.length > 1 ? label : "", say(value)];
        }).slice(0, time === null ? 1 : lines.length);
      }
      return words.now(hostsShown(own), say);
    },
    empty: () => words.empty ?? "No samples in this time range",
  });
}

export function mountCpu(root, page) {
  return mountPercent(root, page, {
    help: "Use of all cores, average of the machines shown. In a container, relative to the container's limit.",
    lines: [{ metric: "system.cpu_percent", label: "CPU", colour: "series-1" }],
    words: {
      summary: "avg_cpu_percent",
      now: (hosts, say) => [
        ["", say(mean(hosts.map((host) => host.cpu_percent)))],
        hosts.length === 1 && hosts[0].load_average ? [" now · load", significant(hosts[0].load_average[0])] : [" now", ""],
      ],
    },
  });
}

export function mountMemory(root, page) {
  return mountPercent(root, page, {
    help: "Memory in use, average of the machines shown. In a container, relative to the container's limit.",
    lines: [{ metric: "system.memory_percent", label: "Memory", colour: "series-1" }],
    words: {
      summary: "avg_memory_percent",
      now: (hosts, say) => [
        ["", say(mean(hosts.map((host) => host.memory_percent)))],
        hosts.length === 1 && hosts[0].memory_total_gb
          ? [` now · ${significant(hosts[0].memory_used_gb)} of ${significant(hosts[0].memory_total_gb)} GiB`, ""]
          : [" now", ""],
      ],
    },
  });
}

export function mountGpu(root, page) {
  return mountPercent(root, page, {
    help: "Utilisation is the share of time in which the GPU was busy. Memory is the share of the GPU's memory in use. Averages of the GPUs shown.",
    lines: [
      { metric: "gpu.utilization_percent", label: "utilisation", colour: "series-1" },
      { metric: "gpu.memory_percent", label: "memory", colour: "series-2" },
    ],
    words: {
      summary: "avg_gpu_utilization_percent",
      now: (hosts, say) => {
        const gpus = hosts.flatMap((host) => host.gpu_metrics ?? []);
        return [
          ["", say(mean(gpus.map((gpu) => gpu.utilization_percent)))],
          ["memory", say(mean(gpus.map((gpu) => gpu.memory_percent)))],
        ];
      },
    },
  });
}
