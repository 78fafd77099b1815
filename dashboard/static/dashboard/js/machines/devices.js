// Which devices the page shows, and in which order. Pure.

import { byHost } from "../widgets/machine-values.js";

export const MANY = 16; // GPUs or hosts: above this number, the busiest come first and the others after "Show all"

const FIELDS_OF_HOSTS = { "system.cpu_percent": "cpu_percent", "system.memory_percent": "memory_percent" };
const FIELDS_OF_GPUS = {
  "gpu.utilization_percent": "utilization_percent", "gpu.memory_percent": "memory_percent", "gpu.temperature": "temperature",
  "gpu.power_draw_watts": "power_draw_watts", "gpu.sm_clock_mhz": "sm_clock_mhz",
};

// The hosts of a window that has passed, with the last values of their lines.
export function hostsOfLines(lines, last) {
  const hosts = new Map();
  const fill = (device, target, fields) => {
    for (const [metric, field] of Object.entries(fields)) target[field] = last(lines.get(metric, "avg", device));
    return target;
  };
  for (const device of lines.devices) {
    const host = hosts.get(device.host) ?? { host: device.host, state: "past", gpu_metrics: [] };
    hosts.set(device.host, host);
    if (device.gpu === undefined) {
      fill(device, host, FIELDS_OF_HOSTS);
      host.load_average = [last(lines.get("system.load_1m", "avg", device))];
    } else host.gpu_metrics.push(fill(device, { gpu_id: device.gpu }, FIELDS_OF_GPUS));
  }
  return [...hosts.values()];
}

// Hosts in their order; where there are many, the busiest come first.
export function hostsInOrder(hosts) {
  const ordered = [...hosts].sort(byHost);
  return ordered.length > MANY ? ordered.sort((a, b) => (b.cpu_percent ?? -1) - (a.cpu_percent ?? -1)) : ordered;
}

// The GPUs of hosts, each with its host. `busiestFirst`: by utilisation.
export function gpusOf(hosts, busiestFirst) {
  const gpus = [...hosts].sort(byHost).flatMap((host) => (host.gpu_metrics ?? []).map((gpu) => ({ ...gpu, of: host })));
  if (busiestFirst) gpus.sort((a, b) => (b.utilization_percent ?? -1) - (a.utilization_percent ?? -1));
  return gpus;
}
