// A table that the server renders: a partial template, so that it is written once. The first HTML has it; where it has
// changed, it is in `data.tables[name]` of the page's data and drawn again. What the template marks is filled in:
// `[data-model]` gets the colour of the model, a `<time>` is shown in the time zone of the browser, and what has
// `[data-filter-name]` and `[data-filter-value]` leads to the page with that filter.

import { slotOf } from "../charts/palette.js";
import { findAll, releaseFocus, setText } from "../page/dom.js";
import { dayOfMonth, moment } from "../page/format.js";

// `onDraw(root, isNew)` is called after each drawing, for example for sparklines; `isNew`: with another table.
// `html()`: another table that is shown instead while there is one. Returns a function that draws the table again.
/** @param {HTMLElement} root
 *  @param {import("../live/page.js").Page} page
 *  @param {{ name?: string, onDraw?: (root: HTMLElement, isNew: boolean) => void, html?: () => string | undefined }} [options] */
export function mountServerTable(root, page, { name = root.dataset.table, onDraw = () => {}, html: instead = () => undefined } = {}) {
  const first = root.innerHTML;
  let drawn = page.data.tables[name];
  const draw = () => {
    const html = instead() ?? page.data.tables[name];
    // A table with the focus or a selection in it is not replaced under the hands of its user.
    const isNew = html !== drawn;
    if (isNew && root.contains(document.activeElement)) return;
    if (isNew) root.innerHTML = html ?? first; // Django has escaped what came from outside
    drawn = html;
    for (const swatch of findAll("[data-model]", root)) swatch.classList.add(`slot-${slotOf("model", swatch.dataset.model)}`);
    for (const time of findAll("time", root)) {
      const at = Date.parse(time.dateTime);
      time.title = new Date(at).toISOString();
      setText(time, moment(at, dayOfMonth(at) !== dayOfMonth(page.now())));
    }
    onDraw(root, isNew);
  };
  for (const topic of ["data", "figures", "theme"]) page.topics.on(topic, draw);
  root.addEventListener("focusout", () => setTimeout(draw));
  root.addEventListener("click", (event) => {
    const clicked = /** @type {Element} */ (event.target);
    const target = /** @type {HTMLElement} */ (clicked.closest("[data-filter-name]"));
    if (!target || clicked.closest("a")) return;
    releaseFocus(); // a button in the table has it, and the table is not drawn while it does
    page.navigate({ filters: { [target.dataset.filterName]: [target.dataset.filterValue] } });
  });
  draw();
  return draw;
}
