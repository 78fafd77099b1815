// The list of requests with its search, chips, choice of outcome and columns. The server renders it: see
// widgets/server-table.js. New rows arrive with the figures, and wait while the pointer or the focus is in the list.

import { parameter } from "../page/address.js";
import { findSearch } from "../page/api.js";
import { find, findAll, setText } from "../page/dom.js";
import { mountColumns } from "./columns.js";
import { mountDrawer } from "./drawer.js";
import { heldText, newerRows } from "./held.js";
import { fillIn } from "./marked.js";

export function mount(root, page) {
  const parts = Object.fromEntries(findAll("[data-part]", root).map((part) => [part.dataset.part, part]));
  const held = find("[data-held]", root);
  let drawn = { ...page.data.tables };
  let shownIds = page.data.row_ids;
  let address = location.search;
  const columns = mountColumns(root);
  const drawer = mountDrawer(root, page);

  const area = find(".requests-area", root);
  const isUsed = () => area.matches(":hover") || area.contains(document.activeElement);
  const show = (name) => {
    if (page.data.tables[name] === drawn[name]) return;
    const focused = /** @type {HTMLElement} */ (document.activeElement?.closest?.("[data-outcome], [data-request]"));
    const key = focused && parts[name].contains(focused)
      ? ("request" in focused.dataset ? `[data-request="${focused.dataset.request}"]` : `[data-outcome="${focused.dataset.outcome}"]`) : null;
    parts[name].innerHTML = page.data.tables[name]; // Django has escaped what came from outside
    drawn[name] = page.data.tables[name];
    if (key) find(key, parts[name])?.focus({ preventScroll: true });
  };
  const showList = () => {
    show("list");
    shownIds = page.data.row_ids;
    held.hidden = true;
    columns.apply();
    fillIn(parts.list);
    drawer.mark();
  };
  const drawFigures = () => {
    show("bar");
    const newer = newerRows(page.data.row_ids, shownIds);
    if (isUsed() && shownIds.length && address === location.search) {
      held.hidden = newer.count === 0;
      setText(find("[data-held-text]", held), heldText(newer));
    } else {
      showList();
    }
  };
  const drawAll = () => {
    // A quiet load of the same address is as a refresh of the figures.
    if (address === location.search) return drawFigures();
    address = location.search;
    show("bar");
    showList();
    drawer.follow();
  };
  page.topics.on("figures", drawFigures);
  page.topics.on("data", drawAll);
  page.topics.on("theme", () => fillIn(root));
  find("[data-show-newer]", root).addEventListener("click", showList);
  area.addEventListener("pointerleave", () => held.hidden || isUsed() || showList());
  area.addEventListener("focusout", () => setTimeout(() => held.hidden || isUsed() || showList()));

  const go = (set) => page.navigate({ set: { cursor: null, request: null, ...set } });
  root.addEventListener("click", (event) => {
    const target = event.target.closest("[data-outcome], [data-remove], [data-remove-all], [data-cursor]");
    if (!target) return;
    const { outcome, remove, cursor } = target.dataset;
    if (outcome !== undefined) go({ outcome: outcome || null });
    else if (remove !== undefined) go({ [remove]: null });
    else if (cursor !== undefined) go({ cursor: cursor || null });
    else go(Object.fromEntries(["outcome", ...findAll("[data-remove]", root).map((chip) => chip.dataset.remove)].map((name) => [name, null])));
  });
  mountSearch(find(".requests-search", root), go);
  columns.apply();
  fillIn(root);
  drawer.follow();
}

function mountSearch(form, go) {
  const input = find("input", form);
  const problem = find(".form-problem", form);
  input.value = parameter("search") ?? "";
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || /** @type {Element} */ (event.target).closest?.("input, textarea, select") || find("dialog[open]")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    input.focus();
  }, { capture: true });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { parameters, problems } = await findSearch(input.value).catch((error) => ({ parameters: {}, problems: [error.message] }));
    problem.hidden = problems.length === 0;
    setText(problem, problems.join(" "));
    if (problems.length) return;
    input.value = parameters.search ?? "";
    go({ search: null, ...parameters });
  });
}
