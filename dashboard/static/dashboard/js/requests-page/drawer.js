// One request beside the list. Its row id is in the address: `request`.

import { changedQuery, parameter, replaceAddress } from "../page/address.js";
import { requestDetail } from "../page/api.js";
import { find, findAll } from "../page/dom.js";
import { fillIn } from "./marked.js";

const listQuery = () => {
  const query = changedQuery(location.search, { set: { request: null } });
  return query && `?${query}`;
};

export function mountDrawer(root, page) {
  const drawer = find("#drawer");
  const body = find("[data-body]", drawer);
  let shown = null;
  let returnTo = null;

  const links = () => findAll(".requests-table a[data-request]", root);
  const mark = () => {
    for (const row of findAll("tr[data-row]", root)) row.toggleAttribute("data-current", row.dataset.row === shown);
  };
  const close = () => {
    if (!shown) return;
    const last = find(`a[data-request="${CSS.escape(shown)}"]`, root) ?? returnTo;
    shown = null;
    drawer.hidden = true;
    document.body.classList.remove("has-drawer");
    replaceAddress({ set: { request: null } });
    mark();
    last?.focus({ preventScroll: true });
  };
  const open = async (id, { focus = true } = {}) => {
    returnTo ??= document.activeElement;
    shown = id;
    if (parameter("request") !== id) replaceAddress({ set: { request: id } });
    drawer.hidden = false;
    document.body.classList.add("has-drawer");
    mark();
    const { html, problem } = await requestDetail(id).then(({ html }) => ({ html, problem: null }), (problem) => ({ html: "", problem }));
    if (shown !== id) return; // another one was opened meanwhile
    if (problem) body.textContent = problem.message;
    else body.innerHTML = html; // Django has escaped what came from outside
    // The page of the request keeps the query of the list, so that it leads back to the same.
    find("[data-page-link]", drawer).href = new URL(`${id}/${listQuery()}`, new URL(location.pathname, location.origin)).href;
    fillIn(body);
    drawer.scrollTop = 0;
    if (focus) drawer.focus({ preventScroll: true });
  };
  const step = (by) => {
    const ids = links().map((link) => link.dataset.request);
    const next = ids[ids.indexOf(shown) + by];
    if (!ids.includes(shown) || !next) return;
    open(next);
    find(`tr[data-row="${CSS.escape(next)}"]`, root)?.scrollIntoView({ block: "nearest" });
  };

  const isPlain = (event) => !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button);
  const onClick = (event) => {
    if (!isPlain(event)) return;
    const target = event.target.closest("[data-request]") ?? event.target.closest("tr[data-row]");
    if (!target || getSelection()?.toString()) return;
    event.preventDefault();
    open(target.dataset.request ?? target.dataset.row);
  };
  root.addEventListener("click", onClick);
  body.addEventListener("click", onClick);
  drawer.addEventListener("click", (event) => {
    const button = event.target.closest("[data-step], [data-close]");
    if (!button) return;
    if ("close" in button.dataset) close();
    else step(Number(button.dataset.step));
  });
  document.addEventListener("keydown", (event) => {
    if (!shown || event.ctrlKey || event.metaKey || event.altKey || find("dialog[open]")) return;
    if (/** @type {Element} */ (event.target).closest?.("input, textarea, select")) return;
    if (event.key === "Escape" && !find(".popover:not([hidden])")) close();
    else if (event.key.toLowerCase() === "j") step(1);
    else if (event.key.toLowerCase() === "k") step(-1);
    else if (event.key === "Enter" && event.target === drawer) location.assign(find("[data-page-link]", drawer).href);
  });
  page.topics.on("theme", () => fillIn(body));

  return {
    mark,
    // Show what the address names.
    follow() {
      const id = parameter("request");
      if (id && /^\d+$/.test(id)) {
        if (id !== shown) open(id, { focus: false });
      } else {
        close();
      }
    },
  };
}
