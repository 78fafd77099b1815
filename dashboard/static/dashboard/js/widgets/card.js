// What every card has: the values in its head, its help, its menu, its table, and its name for those who do not see it.

import { saveHistory, savePicture, saveSvg } from "../charts/export.js";
import { TimeChart } from "../charts/time-chart.js";
import { at as valueAt, last } from "../live/series.js";
import { announce } from "../page/announce.js";
import { disclosure } from "../page/disclosure.js";
import { element, find, setText, svg } from "../page/dom.js";
import { NO_DATA, moment, timeOfDay } from "../page/format.js";

const DAY_MS = 86_400_000;
const TABLE_EVERY_MS = 10_000;
const DESCRIBE_EVERY_MS = 5_000;

// A chart over time with its whole frame. `spec` as in charts/time-chart.js, and besides `help` (a sentence or two) and
// `metrics` ([[metric, stat], …], for the help and the files).
export function mountChart(root, page, spec) {
  if (!root) return null;
  const chart = new TimeChart(root, page, spec);
  const title = find(".card-title", root).textContent;
  const canvas = find("canvas", root);
  let describedAt = -Infinity;
  const draw = () => {
    drawNow(find("[data-now]", root), nowPairs(page, spec, chart), page.cursor.time, page);
    drawLegend(find("[data-legend]", root), spec.legend ? chart.lines : []);
    if (performance.now() - describedAt < DESCRIBE_EVERY_MS) return;
    describedAt = performance.now();
    describe(root, canvas, title, page, chart);
  };
  chart.onDraw = draw;
  page.topics.on("cursor", () => drawNow(find("[data-now]", root), nowPairs(page, spec, chart), page.cursor.time, page));
  page.topics.on("cursor-by-key", (node) => node === canvas && announceNow(title, page, spec, chart));
  mountHelp(root, page, spec);
  const table = mountTable(root, page, spec, chart);
  mountMenu(root, [
    { words: "Save as PNG", act: () => savePicture(chart, title, page) },
    { words: "Save as SVG", act: () => saveSvg(chart, title, page) },
    { words: "Save as CSV", act: () => saveHistory("csv", spec.metrics, page, spec.groupBy) },
    { words: "Save as JSON", act: () => saveHistory("json", spec.metrics, page, spec.groupBy) },
    null,
    { words: "Copy link to this range", act: () => copyLink(page, false), when: () => page.rolling },
    { words: "Copy link to this moment", act: () => copyLink(page, true) },
    null,
    { words: () => (table.isOpen ? "Hide the table" : "View as table"), act: () => table.toggle() },
    { words: "Enlarge", act: () => expand(root, chart) },
  ]);
  mountScale(root, chart);
  root.addEventListener("frame-expand", () => expand(root, chart));
  return chart;
}

// What stands in a head: [words, value, whether it is the window's because the last minute has none]. Nothing where no
// value is known and nobody points at a time.
function nowPairs(page, spec, chart) {
  const { time } = page.cursor;
  const pairs = (spec.now ? spec.now(page, time) : linePairs(page, chart, time)).filter(Boolean);
  if (time === null && !pairs.some(([, value]) => value && value !== NO_DATA)) return [];
  return pairs.some(([, , standsIn]) => standsIn) ? [...pairs, [` in ${page.params.span}`, ""]] : pairs;
}

// Without words of its own a head shows each line's newest value, or that under the crosshair.
function linePairs(page, { lines, spec }, time) {
  return lines.slice(0, 4).map(({ label, points }) => {
    const value = time === null ? last(points) : valueAt(points, time, page.series.step);
    return [label, spec.say(value)];
  });
}

export function drawNow(target, pairs, time, page) {
  const parts = pairs.flatMap(([words, value], index) => [
    // A pair whose words begin with a blank goes on with the one before.
    index ? (words.startsWith(" ") ? "" : " · ") : "",
    words ? `${words} ` : "",
    value ? element("b", {}, value) : "",
  ]);
  if (time !== null && time !== undefined) {
    const { from, to } = page.window;
    parts.push(` at ${moment(time, to - from > DAY_MS)}`);
  }
  const key = parts.map((part) => part.textContent ?? part).join("");
  if (target.textContent !== key) target.replaceChildren(...parts);
}

function drawLegend(target, lines) {
  const key = lines.map(({ label, colour }) => `${label}:${colour}`).join("|");
  if (target.dataset.drawn === key) return;
  target.dataset.drawn = key;
  target.hidden = lines.length === 0;
  target.replaceChildren(
    ...lines.map(({ label, colour, dash, square }) =>
      element("span", {},
        svg("svg", { viewBox: "0 0 16 8", "aria-hidden": "true" },
          square
            ? svg("rect", { x: 1, y: 0, width: 14, height: 8, rx: 2, class: `key ${colour}` })
            : svg("path", { d: "M0 4H16", class: `key ${colour}`, "stroke-dasharray": (dash ?? []).join(" ") })),
        element("bdi", { title: label }, label))),
  );
}

function describe(root, canvas, title, page, chart) {
  const values = linePairs(page, chart, null).map(([label, value]) => `${label} ${value}`).join(", ");
  const trends = chart.lines.slice(0, 4).map(({ label, points }) => `${label} ${trend(points)}`).join(", ");
  canvas.setAttribute("aria-label", `${title}: ${values}. ${trends}.`);
  setText(find("[data-twin]", root), `${title} for ${page.params.span}. To see all values, choose “View as table” in the menu.`);
}

function trend(points) {
  const known = points.filter(({ y }) => y !== null);
  if (known.length < 4) return "without a clear trend";
  const mean = (part) => part.reduce((sum, { y }) => sum + y, 0) / part.length;
  const half = Math.floor(known.length / 2);
  const [before, after] = [mean(known.slice(0, half)), mean(known.slice(half))];
  if (Math.abs(after - before) <= 0.1 * Math.abs(before)) return "steady";
  return after > before ? "rising" : "falling";
}

function announceNow(title, page, spec, chart) {
  const values = nowPairs(page, spec, chart).map(([words, value]) => `${words} ${value}`).join(", ");
  // Said at once: the person asked for it with a key.
  setText(document.getElementById("announcer"), `${title} at ${timeOfDay(page.cursor.time)}: ${values}`);
}

export function mountHelp(root, page, spec) {
  const button = find("[data-info]", root);
  if (!button) return;
  const panel = element("div", { class: "popover info-popover", hidden: true });
  root.append(panel);
  disclosure(button, panel, {
    onOpen() {
      const names = [...new Set(spec.metrics.map(([metric]) => metric))];
      const step = page.series.step / 1000;
      panel.replaceChildren(
        element("p", {}, spec.help),
        element("p", {}, element("code", {}, names.join(", "))),
        element("p", { class: "muted" }, `One point per ${stepWords(step)}. Percentiles are accurate to 1.1 %.`),
      );
    },
  });
}

export function stepWords(seconds) {
  if (seconds === 1) return "second";
  if (seconds < 60) return `${seconds} seconds`;
  if (seconds === 60) return "minute";
  if (seconds < 3600) return `${seconds / 60} minutes`;
  return seconds === 3600 ? "hour" : `${seconds / 3600} hours`;
}

// `items`: {words, act, when?} or null for a line.
export function mountMenu(root, items) {
  const button = find("[data-menu]", root);
  if (!button) return;
  const panel = element("div", { class: "popover menu", role: "menu", hidden: true });
  root.append(panel);
  const menu = disclosure(button, panel, {
    onOpen() {
      panel.replaceChildren(
        ...items.filter((item) => !item?.when || item.when()).map((item) =>
          item === null
            ? element("hr")
            : element("button", { type: "button", role: "menuitem", on: { click: () => { menu.close(true); item.act(); } } },
                typeof item.words === "function" ? item.words() : item.words)),
      );
      find("button", panel)?.focus();
    },
  });
  panel.addEventListener("keydown", (event) => {
    if (!["ArrowDown", "ArrowUp"].includes(event.key)) return;
    event.preventDefault();
    const all = [...panel.querySelectorAll("button")];
    const step = event.key === "ArrowDown" ? 1 : -1;
    all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
  });
}

function mountScale(root, chart) {
  const button = find("[data-scale]", root);
  if (!button) return;
  const show = (on) => {
    button.setAttribute("aria-pressed", String(on));
    chart.setLogarithmic(on);
  };
  if (new URLSearchParams(location.search).get("y") === "log") show(true);
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    const search = new URLSearchParams(location.search);
    if (on) search.set("y", "log");
    else search.delete("y");
    history.replaceState(history.state, "", search.size ? `?${search}` : location.pathname);
    show(on);
  });
}

async function copyLink(page, absolute) {
  const url = new URL(location.href);
  if (absolute) {
    const { from, to } = page.window;
    url.searchParams.delete("range");
    url.searchParams.set("from", new Date(from).toISOString());
    url.searchParams.set("to", new Date(to).toISOString());
  }
  await navigator.clipboard?.writeText(url.href);
  announce("Link copied");
}

// The accessible twin of a chart: all its values, made when it is asked for.
function mountTable(root, page, spec, chart) {
  const target = find("[data-table]", root);
  let drawnAt = 0;
  const draw = () => {
    drawnAt = performance.now();
    const lines = spec.lines(page);
    const { from, to } = page.window;
    const longest = lines.reduce((found, { points }) => (points.length > found.length ? points : found), []);
    const rows = longest.toReversed().map(({ x }) =>
      element("tr", {},
        element("th", { scope: "row" }, moment(x, to - from > DAY_MS)),
        ...lines.map(({ points }) => element("td", { class: "figure" }, spec.say(valueAt(points, x, page.series.step))))));
    target.replaceChildren(
      element("table", { class: "table" },
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Time"),
          ...lines.map(({ label }) => element("th", { scope: "col", class: "figure" }, label)))),
        element("tbody", {}, ...rows)));
  };
  const own = {
    get isOpen() {
      return !target.hidden;
    },
    toggle() {
      target.hidden = !target.hidden;
      if (own.isOpen) {
        draw();
        target.tabIndex = 0;
        target.focus();
      } else {
        target.replaceChildren();
      }
      chart.draw();
    },
  };
  page.topics.on("data", () => own.isOpen && draw());
  page.topics.on("tick", () => own.isOpen && page.live && performance.now() - drawnAt > TABLE_EVERY_MS && draw());
  return own;
}

// The same chart, large: its plot moves into a dialog and back.
function expand(root, chart) {
  const dialog = document.getElementById("expand-dialog");
  if (dialog.open) return;
  const marker = element("div", { class: root.className, "aria-hidden": "true" }); // keeps the place in the grid
  root.before(marker);
  document.getElementById("expand-body").append(root);
  root.classList.add("is-expanded");
  dialog.addEventListener("close", () => {
    root.classList.remove("is-expanded");
    marker.replaceWith(root);
    chart.rebuild();
  }, { once: true });
  dialog.showModal();
  chart.rebuild();
}
