// A table of devices: a row for each, a column for each metric. The rows of a column share its scale. Figures change each
// second, lines with the data; only rows in the viewport are drawn.

import { saveHistory } from "../charts/export.js";
import { element, find, setText } from "../page/dom.js";
import { NO_DATA, ago, hourAndMinute, moment } from "../page/format.js";
import { perFrame } from "../page/scheduling.js";
import { machineUrl } from "../page/api.js";
import { mountHelp } from "../widgets/card.js";
import { mountMenu } from "../widgets/menu.js";
import { axisLabels } from "./axis.js";
import { Cell } from "./cell.js";
import { extent } from "./lines.js";

const DAY_MS = 86_400_000;
const STATES = { up: "up", stale: "▲ stale", down: "■ down", past: "" };

// `spec`: {columns, help, groupBy, devices(): [device], keyOf(device): {host, gpu}, hostOf(device), nameOf(device), about(device),
// head(devices): text, limit(): number of rows at most, showAll()}. Returns a function that orders the rows again.
export function mountTable(root, page, state, spec) {
  const { columns } = spec;
  const head = find("[data-head]", root);
  const body = find("[data-body]", root);
  const rows = new Map(); // by key
  let scales = [];
  let measured = columns.map(() => true);
  const heads = columns.map(({ title, lines }) => {
    const scale = element("span", { class: "device-scale" });
    const keys = lines.length > 1 ? lines.map(({ colour, label }) => element("span", { class: `device-key ${colour}` }, label)) : [];
    return { node: element("th", { scope: "col" }, element("span", {}, title, ...keys), scale), scale };
  });
  head.append(element("tr", {}, element("td"), ...heads.map(({ node }) => node)));
  const axis = element("tr", { class: "device-axis", "aria-hidden": "true" }, element("td"), ...columns.map(() => element("td")));
  find("table", root).append(element("tfoot", {}, axis));

  const visible = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const row = rows.get(/** @type {HTMLElement} */ (target).dataset.key);
      if (!row) continue;
      row.isVisible = isIntersecting;
      if (isIntersecting) drawRow(row);
    }
  }, { rootMargin: "200px" });

  const thresholdOf = ({ lines }) => {
    const mark = (page.data.alerts?.marks ?? []).find(({ metric, threshold }) => metric === lines[0].metric && threshold !== undefined);
    return mark ? { value: mark.threshold, label: mark.label } : null;
  };

  function makeRow(device, key) {
    const host = spec.hostOf(device).host;
    const name = element("a", { href: machineUrl(host), title: host }, element("bdi", {}, spec.nameOf(device)));
    const row = { key, device, cells: columns.map((column) => new Cell(column)), isVisible: true, drawnLines: null };
    row.dot = element("span", { class: "dot", "aria-hidden": "true" });
    row.about = element("p", { class: "muted" });
    row.state = element("p", { class: "device-state" });
    row.node = element("tr", { "data-key": key },
      element("th", { scope: "row" }, element("div", { class: "device-name" }, row.dot, name), row.about, row.state),
      ...row.cells.map(({ node }) => node));
    return row;
  }

  function drawRow(row) {
    const { device } = row;
    const host = spec.hostOf(device);
    const given = host.state ?? "up";
    const shown = page.isDisconnected && page.live && given === "up" ? "stale" : given;
    const isDown = shown === "down";
    row.node.classList.toggle("is-stale", shown === "stale");
    row.node.classList.toggle("is-down", isDown);
    row.dot.className = `dot ${shown}`;
    setText(row.about, spec.about(device));
    setText(row.state, stateText(shown, host, page));
    if (row.drawnLines !== state.lines || row.drawnScales !== scales) {
      row.drawnLines = state.lines;
      row.drawnScales = scales;
      row.cells.forEach((cell, index) => cell.drawLines({
        device, key: spec.keyOf(device), lines: state.lines, before: state.before, scale: scales[index],
        threshold: thresholdOf(columns[index]), span: page.params.span,
      }));
    }
    row.cells.forEach((cell, index) => (cell.node.hidden = !measured[index]));
    row.cells.forEach((cell, index) => cell.drawNow(device, { isDown, threshold: thresholdOf(columns[index]) }));
  }

  function drawScales(devices) {
    scales = columns.map((column, index) => {
      const stats = column.band ? ["min", "max"] : [column.lines[0].stat];
      const lists = devices.flatMap((device) => column.lines.flatMap(({ metric }) => stats.map((stat) => state.lines.get(metric, stat, spec.keyOf(device)))));
      const scale = column.scale(devices, extent(lists));
      const threshold = thresholdOf(column);
      setText(heads[index].scale, `${column.scaleText(scale)}${threshold ? `, rule ${+threshold.value.toFixed(2)}` : ""}`);
      heads[index].scale.title = threshold?.label ?? "";
      return scale;
    });
    showMeasured(devices);
    const { start, step, count } = state.lines;
    const labels = axisLabels(start, start + count * step);
    const drawn = JSON.stringify(labels);
    for (const cell of [...axis.children].slice(1)) {
      if (cell.dataset.drawn === drawn) continue;
      cell.dataset.drawn = drawn;
      cell.replaceChildren(element("div", {}, ...labels.map(labelOf)));
    }
  }

  // A column that no device has a value of is hidden.
  function showMeasured(devices) {
    measured = columns.map((column) => devices.some((device) =>
      column.lines.some(({ metric, stat }) => state.lines.get(metric, stat, spec.keyOf(device))?.some((value) => value !== null))
      || column.parts(device, []).some(({ number }) => number !== NO_DATA)));
    if (!measured.includes(true)) measured = columns.map(() => true);
    measured.forEach((isMeasured, index) => {
      heads[index].node.hidden = !isMeasured;
      axis.children[index + 1].hidden = !isMeasured;
    });
  }

  let order = [];
  let drawnLines = null;
  const draw = perFrame(() => {
    const devices = spec.devices();
    const keys = devices.map((device) => JSON.stringify(spec.keyOf(device)));
    // The order changes with the lines, or when a device comes or goes, not each second.
    const isSame = drawnLines === state.lines && keys.length === order.length && keys.every((key) => order.includes(key));
    const chosen = isSame ? order : keys;
    order = chosen;
    const shownKeys = chosen.slice(0, spec.limit());
    const byKey = new Map(keys.map((key, index) => [key, devices[index]]));
    root.hidden = spec.hiddenWhenEmpty && !devices.length;
    find("table", root).hidden = !devices.length;
    find("[data-empty]", root).hidden = devices.length > 0;
    setText(find("[data-values]", root), spec.head(devices));
    drawMore(devices.length, shownKeys.length);
    if (!isSame) drawScales(devices);
    drawnLines = state.lines;
    const nodes = shownKeys.map((key) => {
      const device = byKey.get(key);
      if (!rows.has(key)) {
        rows.set(key, makeRow(device, key));
        visible.observe(rows.get(key).node);
      }
      const row = rows.get(key);
      row.device = device;
      if (row.isVisible) drawRow(row);
      return row.node;
    });
    if (nodes.length !== body.children.length || nodes.some((node, index) => body.children[index] !== node)) body.replaceChildren(...nodes);
    for (const [key, row] of rows) {
      if (byKey.has(key)) continue;
      visible.unobserve(row.node);
      rows.delete(key);
    }
  });

  const more = find("[data-more]", root);
  function drawMore(count, shown) {
    more.hidden = count <= shown;
    setText(find("button", more), `Show all ${count}`);
  }
  find("button", more).addEventListener("click", () => {
    spec.showAll();
    draw();
  });

  body.addEventListener("pointermove", (event) => {
    const picture = event.target.closest?.(".device-picture");
    if (!picture || !state.lines.count) return;
    const { left, width } = picture.getBoundingClientRect();
    const share = Math.max(0, Math.min(0.999, (event.clientX - left) / width));
    page.setCursor(state.lines.start + share * state.lines.count * state.lines.step, false);
  });
  body.addEventListener("pointerleave", () => page.setCursor(null, false));
  const drawCursor = perFrame(() => {
    for (const row of rows.values()) if (row.isVisible) row.cells.forEach((cell) => cell.drawCursor(page.cursor.time, state.lines));
  });
  page.topics.on("cursor", drawCursor);

  const metrics = columns.flatMap(({ lines }) => lines.map(({ metric, stat }) => [metric, stat]));
  const history = { help: spec.help, metrics, groupBy: spec.groupBy, step: () => state.lines.step };
  mountHelp(root, page, history);
  const title = find(".card-title", root).textContent;
  mountMenu(root, [
    { label: "Save as CSV", onClick: () => saveHistory("csv", history, page, title) },
    { label: "Save as JSON", onClick: () => saveHistory("json", history, page, title) },
  ]);
  for (const topic of ["data", "figures", "tick", "second", "connection", "pause"]) page.topics.on(topic, draw);
  draw();
  return function reorder() {
    order = [];
    draw();
  };
}

function labelOf({ text, share }) {
  const label = element("span", {}, text);
  label.style.left = `${(100 * share).toFixed(1)}%`;
  return label;
}

// "12 s old", "▲ stale · 12 s old", "■ no sample since 14:03".
export function stateText(shown, host, page) {
  if (shown === "up" || shown === "past") return STATES.past;
  const at = Date.parse(host.at);
  const age = Math.max(0, ((page.pause?.at ?? page.now()) - at) / 1000);
  if (shown === "down") return `■ no sample since ${age > DAY_MS / 2000 ? moment(at, true) : hourAndMinute(at)}`;
  return `▲ ${ago(age).replace(" ago", " old")}`;
}
