// The entry script of the Machines page.

import { startPage } from "../frame/start.js";
import { SPACE, compact, percent, text } from "../page/format.js";
import { mountSwitch } from "../widgets/switch.js";
import { GPU_COLUMNS, HOST_COLUMNS } from "./columns.js";
import { MANY, gpusOf, hostsInOrder } from "./devices.js";
import { mountDeviceHeatmap, mountWeekHeatmap } from "./heatmaps.js";
import { mountSentence } from "./sentence.js";
import { MachinesState } from "./state.js";
import { mountTable } from "./table.js";

let state = null; // of the page, for all its widgets
const stateOf = (page) => (state ??= new MachinesState(page));
const watts = (value) => {
  const { number, unit } = compact(value, "W");
  return text({ number, unit: unit.replace(SPACE, "") });
};
const isKnown = (value) => value !== null && value !== undefined;

function mountGpus(root, page) {
  const shared = stateOf(page);
  let reorder = null;
  const order = mountSwitch(root, {
    name: "gpus", label: "Order of the GPUs", onChange: () => reorder(),
    options: [{ name: "host", label: "Grouped by host" }, { name: "busiest", label: "Busiest first" }],
  });
  let all = false;
  const spec = {
    columns: GPU_COLUMNS, groupBy: "host,gpu", hiddenWhenEmpty: true,
    help: "A figure is the newest sample, each second. The line is the mean of each step, the band its lowest to highest sample, the grey line the time before. Dashed amber: the threshold of an alert rule. Dotted: the power limit.",
    devices: () => {
      const hosts = shared.hosts;
      const count = hosts.reduce((sum, host) => sum + (host.gpu_metrics?.length ?? 0), 0);
      return gpusOf(hosts, order.value === "busiest" || count > MANY);
    },
    keyOf: ({ of, gpu_id: gpu }) => ({ host: of.host, gpu: String(gpu) }),
    hostOf: ({ of }) => of,
    nameOf: ({ gpu_id: gpu }) => `GPU ${gpu}`,
    about: ({ of, name }) => [of.host, name, of.is_demo ? "demo" : ""].filter(Boolean).join(" · "),
    head: gpuHead,
    limit: () => (all ? Infinity : MANY),
    showAll: () => (all = true),
  };
  reorder = mountTable(root, page, shared, spec);
}

// "2 on 1 host · busiest 97 % · hottest 74 °C · 1.33 kW".
function gpuHead(gpus) {
  if (!gpus.length) return "";
  const values = (name) => gpus.map((gpu) => gpu[name]).filter(isKnown);
  const hosts = new Set(gpus.map(({ of }) => of.host)).size;
  const [busy, hot, power] = ["utilization_percent", "temperature", "power_draw_watts"].map(values);
  return [
    `${gpus.length} on ${hosts} host${hosts === 1 ? "" : "s"}`,
    busy.length ? `busiest ${text(percent(Math.max(...busy)))}` : "",
    hot.length ? `hottest ${Math.round(Math.max(...hot))} °C` : "",
    power.length ? watts(power.reduce((sum, value) => sum + value, 0)) : "",
  ].filter(Boolean).join(" · ");
}

function mountHosts(root, page) {
  const shared = stateOf(page);
  let all = false;
  mountTable(root, page, shared, {
    columns: HOST_COLUMNS, groupBy: "host",
    help: "CPU and memory are of the host, in a container of its limits. Network and disk are bytes per second. A figure is the newest sample; that of the network is of the newest step.",
    devices: () => hostsInOrder(shared.hosts),
    keyOf: ({ host }) => ({ host }),
    hostOf: (host) => host,
    nameOf: ({ host }) => host,
    about: (host) => [isKnown(host.cpu_count) ? `${Math.round(host.cpu_count * 10) / 10} cores` : "", host.gpu_count ? `${host.gpu_count} GPU${host.gpu_count > 1 ? "s" : ""}` : "", host.is_demo ? "demo" : ""].filter(Boolean).join(" · "),
    head: (hosts) => ["up", "stale", "down"].map((name) => [hosts.filter((host) => (host.state ?? "up") === name).length, name])
      .filter(([count]) => count).map(([count, name]) => `${count} ${name}`).join(" · "),
    limit: () => (all ? Infinity : MANY),
    showAll: () => (all = true),
  });
}

startPage({
  sentence: mountSentence,
  gpus: mountGpus,
  hosts: mountHosts,
  "device-heatmap": mountDeviceHeatmap,
  "week-heatmap": mountWeekHeatmap,
});
