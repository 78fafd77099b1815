// The table of models: sorted and searched by the server, by parameters of the address. A click on a row opens its card.

import { parameter, replaceAddress } from "../page/address.js";
import { find, releaseFocus, whenTyped } from "../page/dom.js";
import { mountModelsTable } from "../widgets/models-table.js";

export function mount(root, page) {
  const target = find("[data-table]", root);
  const search = find("[data-search]", root);
  let focused = null; // the head that was clicked, which has the focus again after the table is drawn
  mountModelsTable(root, page, {
    onDraw(isNew) {
      if (!isNew) return;
      if (focused) find(focused, target)?.focus({ preventScroll: true });
      focused = null;
    },
  });
  target.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const sort = event.target.closest("[data-sort]");
    const row = event.target.closest("[data-open-name]");
    if (!sort && !row) return;
    event.preventDefault();
    // A table with the focus in it is not drawn again.
    releaseFocus();
    if (sort) {
      focused = `[data-column="${sort.dataset.column}"]`;
      page.navigate({ set: { sort: sort.dataset.sort } });
    } else {
      const { openName: name } = row.dataset;
      page.navigate({ set: { open: parameter("open") === name ? null : name } });
    }
  });
  whenTyped(search, () => {
    replaceAddress({ set: { search: search.value.trim() || null } });
    page.load({ quiet: true });
  });
}
