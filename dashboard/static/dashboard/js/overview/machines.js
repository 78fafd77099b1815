// The list of machines: their state (up, stale or down), and a bar for each resource.

import { machineUrl } from "../page/api.js";
import { element, find, setText, svg } from "../page/dom.js";
import { ago, moment, percent, significant, text, timeOfDay } from "../page/format.js";
import { perFrame } from "../page/scheduling.js";
import { chosenHosts } from "../widgets/machine-values.js";

const HIGH_PERCENT = 85;
const STATES = ["up", "stale", "down"];
const MAX_GPUS = 16;
const MIN_HIDDEN_PX = 8; // a smaller hidden rest needs no hint

export function mount(root, page) {
  const list = find("[data-list]", root);
  const updateHint = () => list.classList.toggle("has-more", list.scrollHeight - list.scrollTop - list.clientHeight > MIN_HIDDEN_PX);
  list.addEventListener("scroll", updateHint, { passive: true });
  new ResizeObserver(updateHint).observe(list);
  const draw = perFrame(() => {
    const hosts = firingFirst(chosenHosts(page), page.data.alerts?.hosts ?? []);
    setText(find(".card-title", root), hosts.length === 1 && !page.hasEvents ? "This machine" : "Machines");
    setText(find("[data-values]", root), headText(page, hosts));
    document.body.classList.toggle("has-gpu", hasGpu(page, hosts));
    const present = new Map([...list.children].map((node) => [node.dataset.host, node]));
    const nodes = hosts.map((host) => update(present.get(host.host) ?? create(host), host, page));
    if (nodes.length !== list.children.length || nodes.some((node, index) => list.children[index] !== node)) {
      list.replaceChildren(...nodes);
    }
    if (!hosts.length) list.replaceChildren(element("p", { class: "machine muted" }, page.rolling ? "No samples yet." : "No samples in this time range."));
    updateHint();
  });
  for (const topic of ["data", "figures", "tick", "second", "connection", "pause"]) page.topics.on(topic, draw);
  draw();
}

// The machines with a firing alert before the others.
export const firingFirst = (hosts, firing) => [...hosts].sort((a, b) => firing.includes(b.host) - firing.includes(a.host));

function hasGpu(page, hosts) {
  return hosts.some((host) => host.gpu_count > 0 || host.gpu_metrics?.length)
    || page.series.any("gpu.utilization_percent", "avg").some(({ y }) => y !== null);
}

function headText(page, hosts) {
  if (page.isDisconnected && page.live) return "last known values";
  const { to } = page.window;
  if (!page.rolling) return hosts.length ? `last values before ${moment(to, true)}` : "";
  return `${countsText(hosts, page.tick?.hosts_omitted)}${page.pause ? ` at ${timeOfDay(page.pause.at)}` : ""}`;
}

// "2 up · 1 down"; a tick has a limited number of machines.
function countsText(hosts, omitted = 0) {
  return [...STATES.map((state) => [hosts.filter((host) => (host.state ?? "up") === state).length, state]), [omitted, "not shown"]]
    .filter(([count]) => count)
    .map(([count, state]) => `${count} ${state}`)
    .join(" · ");
}

function create(host) {
  return element("article", { class: "machine", "data-host": host.host },
    element("div", { class: "machine-head" },
      element("span", { class: "dot", "aria-hidden": "true" }),
      element("strong", { title: host.host }, element("a", { href: machineUrl(host.host) }, element("bdi", {}, host.host))),
      element("span", { class: "muted", "data-age": true })),
    element("dl", { class: "machine-values" }));
}

function update(node, host, page) {
  // Without a connection no machine counts as up, because its values are old. A paused or past page shows none of now.
  const disconnected = page.isDisconnected && page.live;
  const state = disconnected && host.state !== "down" ? "stale" : (host.state ?? "up");
  node.classList.toggle("is-stale", ["stale", "down"].includes(state));
  find(".dot", node).className = `dot ${state}`;
  const age = find("[data-age]", node);
  setText(age, state === "past" ? "" : `${sampledText(state, disconnected)} ${ago(Math.max(0, ((page.pause?.at ?? page.now()) - Date.parse(host.at)) / 1000))}`);
  age.title = host.at ? new Date(host.at).toLocaleString() : "";
  const values = find(".machine-values", node);
  const rows = state === "down" ? [] : meterRows(host);
  while (values.children.length > rows.length) values.lastChild.remove();
  rows.forEach((row, index) => drawMeter(values.children[index] ?? values.appendChild(createMeter()), row));
  return node;
}

function sampledText(state, disconnected) {
  if (state === "up") return "sampled";
  if (disconnected) return "disconnected, sampled";
  return state === "stale" ? "▲ stale, sampled" : "■ down, last sampled";
}

// Rows of {name, share, text, title}; the share is in percent, or null for a row without a bar.
function meterRows(host) {
  const row = (name, share, extra = "", title = "") => ({ name, share, text: text(percent(share)) + extra, title });
  const memory = row("Memory", host.memory_percent);
  if (host.memory_total_gb) memory.text = `${significant(host.memory_used_gb)} / ${significant(host.memory_total_gb)} GiB`;
  const rows = [row("CPU", host.cpu_percent), memory];
  if (isKnown(host.disk_percent)) rows.push(row("Disk", host.disk_percent));
  const gpus = host.gpu_metrics ?? [];
  for (const gpu of gpus.slice(0, MAX_GPUS)) {
    const temperature = isKnown(gpu.temperature) ? ` · ${Math.round(gpu.temperature)} °C` : "";
    rows.push(row(`GPU ${gpu.gpu_id}`, gpu.utilization_percent, temperature, gpu.name ?? ""));
  }
  if (gpus.length > MAX_GPUS) rows.push({ name: `+${gpus.length - MAX_GPUS}`, share: null, text: "more GPUs", title: "" });
  if (host.gpu_count === 0 && !gpus.length) rows.push({ name: "GPU", share: null, text: "none", title: "" });
  return rows;
}

const isKnown = (value) => value !== null && value !== undefined;

function createMeter() {
  return element("div", { class: "meter" },
    element("dt"),
    svg("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { width: 0, height: 6, rx: 1 })),
    element("dd"));
}

function drawMeter(node, row) {
  setText(find("dt", node), row.name);
  setText(find("dd", node), row.text);
  if (node.title !== row.title) node.title = row.title;
  const width = Math.max(0, Math.min(100, row.share ?? 0));
  find("rect", node).setAttribute("width", width.toFixed(1));
  node.classList.toggle("high", width >= HIGH_PERCENT);
}
