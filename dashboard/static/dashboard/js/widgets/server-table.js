// A table that the server renders, `data.tables[name]` of the page's data: a partial template, so that it is written once. It is
// drawn again where it has changed. What the template marks is filled in: `[data-model]` gets the colour of the model,
// a `<time>` is
// shown in the time zone of the browser, and a row with `[data-filter-name]` and `[data-filter-value]` leads to the page
// with that filter.

import { slotOf } from "../charts/palette.js";
import { findAll, setText } from "../page/dom.js";
import { moment } from "../page/format.js";

const DAY_MS = 86_400_000;

// `onDraw(root)` is called after each drawing, for example for sparklines.
/** @param {HTMLElement} root
 *  @param {import("../live/page.js").Page} page
 *  @param {{ name?: string, onDraw?: (root: HTMLElement) => void }} [options] */
export function mountServerTable(root, page, { name = root.dataset.table, onDraw = () => {} } = {}) {
  let drawn = null;
  const draw = () => {
    const html = page.data.tables?.[name];
    if (html === undefined || html === null) return;
    // A table with the focus or a selection in it is not replaced under the hands of its user.
    if (html !== drawn && drawn !== null && root.contains(document.activeElement)) return;
    if (html !== drawn) root.innerHTML = html; // Django has escaped what came from outside
    drawn = html;
    for (const swatch of findAll("[data-model]", root)) swatch.classList.add(`slot-${slotOf("model", swatch.dataset.model)}`);
    for (const time of findAll("time", root)) {
      const at = Date.parse(time.dateTime);
      time.title = new Date(at).toISOString();
      setText(time, moment(at, Math.abs(page.now() - at) > DAY_MS));
    }
    onDraw(root);
  };
  for (const topic of ["data", "figures", "theme"]) page.topics.on(topic, draw);
  root.addEventListener("focusout", () => setTimeout(draw));
  root.addEventListener("click", (event) => {
    const clicked = /** @type {Element} */ (event.target);
    const target = /** @type {HTMLElement} */ (clicked.closest("[data-filter-name]"));
    if (!target || clicked.closest("a")) return;
    page.navigate({ filters: { [target.dataset.filterName]: [target.dataset.filterValue] } });
  });
  draw();
}
