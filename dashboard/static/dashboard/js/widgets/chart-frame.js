// What the cards of all charts have: the menu with their files, the table with their values, and the larger view. Charts
// that are drawn as a whole also share when they are drawn.

import { savePng, saveSvg } from "../charts/export.js";
import { element, find, svg } from "../page/dom.js";
import { nextFrame, whenIdle } from "../page/scheduling.js";
import { mountMenu } from "./menu.js";

// `source`: {chart, config(), legend, rebuild()}, see charts/export.js; drawTable(target): the table of all values;
// save(extension, title): save them as "csv" or "json"; fileTitle(): the title of pictures and files, where that of the card
// is complete only beside the other cards of the page; links: further items of the menu. Returns the table.
export function mountFrame(root, page, { source, drawTable, save, fileTitle = () => find(".card-title", root).textContent, links = [] }) {
  const table = chartTable(find("[data-table]", root), drawTable);
  const larger = () => enlarge(root, source);
  mountMenu(root, [
    { label: "Save as PNG", onClick: () => savePng(source, fileTitle(), page) },
    { label: "Save as SVG", onClick: () => saveSvg(source, fileTitle(), page) },
    { label: "Save as CSV", onClick: () => save("csv", fileTitle()) },
    { label: "Save as JSON", onClick: () => save("json", fileTitle()) },
    null,
    ...(links.length ? [...links, null] : []),
    { label: () => (table.isOpen ? "Hide the table" : "View as table"), onClick: table.toggle },
    { label: "Enlarge", onClick: larger },
  ]);
  root.addEventListener("card-enlarge", larger);
  return table;
}

// A table that is drawn only while it is open.
function chartTable(target, drawTable) {
  return {
    get isOpen() {
      return !target.hidden;
    },
    draw() {
      if (!target.hidden) drawTable(target);
    },
    toggle() {
      target.hidden = !target.hidden;
      if (target.hidden) {
        target.replaceChildren();
        return;
      }
      drawTable(target);
      target.tabIndex = 0;
      target.focus();
    },
  };
}

// Move the card into a dialog until the dialog is closed.
function enlarge(root, source) {
  const dialog = find("#enlarged");
  if (dialog.open) return;
  const placeholder = element("div", { class: root.className, "aria-hidden": "true" }); // keeps the card's place in the grid
  root.before(placeholder);
  find(".enlarged-body", dialog).append(root);
  root.classList.add("is-enlarged");
  dialog.addEventListener("close", () => {
    root.classList.remove("is-enlarged");
    placeholder.replaceWith(root);
    source.rebuild();
  }, { once: true });
  dialog.showModal();
  source.rebuild();
}

// The <table> of a chart: `names` of its columns, the first that of the rows, and `rows` of [name, ...cells], where a cell is a
// text or a node.
export const valueTable = ([first, ...names], rows) =>
  element("table", { class: "table" },
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, first),
      ...names.map((name) => element("th", { scope: "col", class: "figure" }, name)))),
    element("tbody", {}, ...rows.map(([name, ...cells]) =>
      element("tr", {}, element("th", { scope: "row" }, name), ...cells.map((cell) => element("td", { class: "figure" }, cell))))));

// A value in a table that leads somewhere.
export const valueButton = (text, onClick) => element("button", { type: "button", class: "link", on: { click: onClick } }, text);

// Draw now and for new data: in the next frame while the card is in view, otherwise when the browser is idle.
export function drawInView(root, page, draw) {
  let visible = false;
  const soon = () => (visible ? nextFrame : whenIdle)(draw);
  new IntersectionObserver(([entry]) => {
    if (visible) return;
    visible = entry.isIntersecting;
    soon();
  }, { rootMargin: "80px" }).observe(root);
  for (const topic of ["data", "figures"]) page.topics.on(topic, soon);
  return soon;
}

// `lines`: {label, colour, dash, fill, square}, as in charts/time-chart.js, or {label, paint} with a colour of its own; `words` stand before them.
export function drawLegend(target, lines, words = "") {
  const drawn = JSON.stringify([words, lines.map(({ label, colour, paint, dash, fill }) => [label, colour, paint, dash, fill])]);
  if (target.dataset.drawn === drawn) return;
  target.dataset.drawn = drawn;
  target.hidden = lines.length === 0;
  target.replaceChildren(
    ...(words ? [element("span", {}, words)] : []),
    ...lines.map(({ label, colour, paint, dash, fill, square }) =>
      element("span", {},
        svg("svg", { viewBox: "0 0 16 8", "aria-hidden": "true" },
          paint || fill || square
            ? svg("rect", { x: 1, y: 0, width: 14, height: 8, rx: 2, ...(paint ? { fill: paint } : { class: `key ${colour}` }) })
            : svg("path", { d: "M0 4H16", class: `key ${colour}`, "stroke-dasharray": (dash ?? []).join(" ") })),
        element("bdi", { title: label }, label))),
  );
}
