// Model, provider and host: several of each, with counts, searchable past eight; what is chosen stands as chips below.

import { disclosure } from "./disclosure.js";
import { element, find, findAll, setText } from "./dom.js";
import { whole } from "./format.js";

const SEARCHABLE_PAST = 8;
const MOST_SHOWN = 200;

export function mountFilters(page) {
  for (const root of findAll("[data-filter]")) mountFilter(root, page);
  const draw = () => drawChips(page);
  page.topics.on("data", draw);
  draw();
}

function mountFilter(root, page) {
  const name = root.dataset.filter;
  const label = page.settings.filters[name].toLowerCase();
  const button = find("button", root);
  const menu = find(".filter-menu", root);
  const chosen = () => page.filters[name] ?? [];
  const options = () => {
    const found = page.data.options?.[name] ?? [];
    const missing = chosen().filter((value) => !found.some((one) => one.value === value));
    return [...found, ...missing.map((value) => ({ value, count: 0 }))];
  };
  const toggle = (value, on) =>
    page.go({ filters: { [name]: on ? [...chosen(), value] : chosen().filter((one) => one !== value) } });

  const drawList = (list, query) => {
    const wanted = query.trim().toLowerCase();
    const found = options().filter(({ value }) => value.toLowerCase().includes(wanted)).slice(0, MOST_SHOWN);
    list.replaceChildren(
      ...found.map(({ value, count }) => {
        const box = element("input", { type: "checkbox", value });
        box.checked = chosen().includes(value);
        box.addEventListener("change", () => toggle(value, box.checked));
        return element("label", { class: "filter-option", title: value }, box, element("bdi", {}, value),
          count === null ? null : element("span", { class: "count" }, whole(count).number));
      }),
      ...(found.length ? [] : [element("p", { class: "filter-none" }, query ? `No ${label} matches “${query}”.` : `No ${label} yet.`)]),
    );
  };
  const panel = disclosure(button, menu, {
    onOpen() {
      const list = element("div", { class: "filter-list", role: "group", "aria-label": page.settings.filters[name] });
      const search = options().length > SEARCHABLE_PAST
        ? element("input", { type: "search", class: "filter-search", placeholder: `Find a ${label}`, "aria-label": `Find a ${label}` })
        : null;
      search?.addEventListener("input", () => drawList(list, search.value));
      menu.replaceChildren(...(search ? [search] : []), list);
      drawList(list, "");
      (search ?? find("input", list))?.focus();
    },
  });
  const draw = () => {
    const now = chosen();
    const count = page.data.options?.[name]?.length ?? 0;
    setText(find(".filter-now", root), now.length === 0 ? (count > 1 ? `All ${count}` : "All") : now.length === 1 ? now[0] : `${now.length} of ${count}`);
    if (!panel.isOpen) return;
    // The list stays as it is under the pointer; only the ticks follow.
    for (const box of findAll("input[type=checkbox]", menu)) box.checked = now.includes(box.value);
  };
  page.topics.on("data", draw);
  draw();
}

function drawChips(page) {
  const target = find("#chips");
  const all = Object.entries(page.filters).filter(([, values]) => Array.isArray(values));
  target.hidden = all.length === 0;
  target.replaceChildren(
    ...all.flatMap(([name, values]) => values.map((value) =>
      element("button", {
        type: "button", class: "chip", "aria-label": `Remove the filter ${page.settings.filters[name] ?? name}: ${value}`,
        on: { click: () => page.go({ filters: { [name]: values.filter((one) => one !== value) } }) },
      }, element("span", { class: "muted" }, page.settings.filters[name] ?? name), element("bdi", {}, value), element("span", { "aria-hidden": "true" }, "✕")))),
    ...(all.length ? [element("button", { type: "button", class: "chip clear", on: { click: () => page.go({ filters: Object.fromEntries(all.map(([name]) => [name, []])) }) } }, "Clear all")] : []),
  );
}
