// The strip of machines: up, stale or down, with a bar for each thing that can run out.

import { element, find, setText, svg } from "../page/dom.js";
import { ago, percent, significant, text } from "../page/format.js";
import { nextFrame } from "../page/scheduling.js";
import { allHosts } from "./machine-values.js";

const HIGH_PERCENT = 85;
const WORDS = { up: "up", stale: "stale", down: "down" };
const MOST_GPUS = 16;
const HIDDEN_PX = 8; // less below the edge is worth no hint

export function mount(root, page) {
  const list = find("[data-list]", root);
  const hint = () => list.classList.toggle("has-more", list.scrollHeight - list.scrollTop - list.clientHeight > HIDDEN_PX);
  list.addEventListener("scroll", hint, { passive: true });
  new ResizeObserver(hint).observe(list);
  const draw = () => nextFrame(() => {
    const chosen = page.filters.host ?? [];
    const hosts = allHosts(page).filter((host) => !chosen.length || chosen.includes(host.host));
    setText(find(".card-title", root), hosts.length === 1 && !page.hasEvents ? "This machine" : "Machines");
    setText(find("[data-now]", root), page.connection.state === "disconnected" ? "last known values" : counts(hosts));
    document.body.classList.toggle("has-gpu", hasGpu(page, hosts));
    const present = new Map([...list.children].map((child) => [child.dataset.host, child]));
    const wanted = hosts.map((host) => update(present.get(host.host) ?? make(host), host, page));
    if (wanted.length !== list.children.length || wanted.some((node, index) => list.children[index] !== node)) {
      list.replaceChildren(...wanted);
    }
    if (!hosts.length) list.replaceChildren(element("p", { class: "machine muted" }, "No samples yet."));
    hint();
  });
  for (const topic of ["data", "tick", "second", "connection"]) page.topics.on(topic, draw);
  draw();
}

function hasGpu(page, hosts) {
  return hosts.some((host) => host.gpu_count > 0 || host.gpu_metrics?.length)
    || page.series.get("gpu.utilization_percent", "avg").some(({ y }) => y !== null);
}

function counts(hosts) {
  return ["up", "stale", "down"]
    .map((state) => [state, hosts.filter((host) => (host.state ?? "up") === state).length])
    .filter(([, count]) => count)
    .map(([state, count]) => `${count} ${WORDS[state]}`)
    .join(" · ");
}

function make(host) {
  return element("article", { class: "machine", "data-host": host.host },
    element("div", { class: "machine-head" },
      element("span", { class: "dot", "aria-hidden": "true" }),
      element("strong", { title: host.host }, element("bdi", {}, host.host)),
      element("span", { class: "muted", "data-age": true })),
    element("dl", { class: "machine-values" }));
}

function update(node, host, page) {
  // Nobody tells of a machine while the connection is lost: its last figures must not look alive.
  const lost = page.connection.state === "disconnected";
  const state = lost && host.state !== "down" ? "stale" : (host.state ?? "up");
  const age = Math.max(0, (page.now() - Date.parse(host.at)) / 1000);
  node.classList.toggle("is-stale", state !== "up");
  find(".dot", node).className = `dot ${state}`;
  const words = find("[data-age]", node);
  const prefix = state === "up" ? "sampled" : lost ? "disconnected, sampled" : state === "stale" ? "▲ stale, sampled" : "■ down, last sampled";
  setText(words, `${prefix} ${ago(age)}`);
  words.title = new Date(host.at).toLocaleString();
  const values = find(".machine-values", node);
  const rows = state === "down" ? [] : meters(host);
  while (values.children.length > rows.length) values.lastChild.remove();
  rows.forEach((row, index) => drawMeter(values.children[index] ?? values.appendChild(makeMeter()), row));
  return node;
}

function meters(host) {
  const memory = host.memory_total_gb ? `${significant(host.memory_used_gb)} / ${significant(host.memory_total_gb)} GiB` : text(percent(host.memory_percent));
  const rows = [
    ["CPU", host.cpu_percent, text(percent(host.cpu_percent)), ""],
    ["Memory", host.memory_percent, memory, ""],
  ];
  if (host.disk_percent !== null && host.disk_percent !== undefined) rows.push(["Disk", host.disk_percent, text(percent(host.disk_percent)), ""]);
  const gpus = host.gpu_metrics ?? [];
  for (const gpu of gpus.slice(0, MOST_GPUS)) {
    const heat = gpu.temperature === null || gpu.temperature === undefined ? "" : ` · ${Math.round(gpu.temperature)} °C`;
    rows.push([`GPU ${gpu.gpu_id}`, gpu.utilization_percent, text(percent(gpu.utilization_percent)) + heat, gpu.name ?? ""]);
  }
  if (gpus.length > MOST_GPUS) rows.push([`+${gpus.length - MOST_GPUS}`, null, "more GPUs", ""]);
  if (host.gpu_count === 0 && !gpus.length) rows.push(["GPU", null, "none found", ""]);
  return rows;
}

function makeMeter() {
  return element("div", { class: "meter" },
    element("dt"),
    svg("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { width: 0, height: 6, rx: 1 })),
    element("dd"));
}

function drawMeter(node, [name, share, words, title]) {
  setText(find("dt", node), name);
  setText(find("dd", node), words);
  if (node.title !== title) node.title = title;
  const width = share === null || share === undefined ? 0 : Math.max(0, Math.min(100, share));
  find("rect", node).setAttribute("width", width.toFixed(1));
  node.classList.toggle("high", width >= HIGH_PERCENT);
}
