// The filters (model, provider, machine): each a menu with several choices, and a chip for each chosen value.

import { disclosure } from "./disclosure.js";
import { element, find, findAll, setText } from "./dom.js";
import { whole } from "./format.js";

const SEARCH_FROM = 9; // a menu with at least this many options has a search field
const MAX_OPTIONS = 200;

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
    const known = page.data.options?.[name] ?? [];
    const missing = chosen().filter((value) => !known.some((option) => option.value === value));
    return [...known, ...missing.map((value) => ({ value, count: 0 }))];
  };
  const toggle = (value, on) => page.navigate({ filters: { [name]: on ? [...chosen(), value] : without(chosen(), value) } });

  const drawOptions = (list, query) => {
    const text = query.trim().toLowerCase();
    const matches = options().filter(({ value }) => value.toLowerCase().includes(text)).slice(0, MAX_OPTIONS);
    list.replaceChildren(
      ...matches.map(({ value, count }) => {
        const checkbox = element("input", { type: "checkbox", value });
        checkbox.checked = chosen().includes(value);
        checkbox.addEventListener("change", () => toggle(value, checkbox.checked));
        return element("label", { class: "filter-option", title: value }, checkbox, element("bdi", {}, value),
          count === null ? null : element("span", { class: "count" }, whole(count).number));
      }),
      ...(matches.length ? [] : [element("p", { class: "filter-none" }, query ? `No ${label} matches “${query}”.` : `No ${label} yet.`)]),
    );
  };
  const panel = disclosure(button, menu, {
    onOpen() {
      const list = element("div", { class: "filter-list", role: "group", "aria-label": page.settings.filters[name] });
      const search = options().length >= SEARCH_FROM
        ? element("input", { type: "search", class: "filter-search", placeholder: `Find a ${label}`, "aria-label": `Find a ${label}` })
        : null;
      search?.addEventListener("input", () => drawOptions(list, search.value));
      menu.replaceChildren(...(search ? [search] : []), list);
      drawOptions(list, "");
      (search ?? find("input", list))?.focus();
    },
  });
  const draw = () => {
    const values = chosen();
    const count = page.data.options?.[name]?.length ?? 0;
    const all = count > 1 ? `All ${count}` : "All";
    setText(find(".filter-value", root), values.length === 0 ? all : values.length === 1 ? values[0] : `${values.length} of ${count}`);
    if (!panel.isOpen) return;
    // An open list keeps its order, so that no option moves away from the pointer. Only the checkboxes are updated.
    for (const checkbox of findAll("input[type=checkbox]", menu)) checkbox.checked = values.includes(checkbox.value);
  };
  page.topics.on("data", draw);
  draw();
}

function drawChips(page) {
  const target = find("#chips");
  const filters = Object.entries(page.filters).filter(([, values]) => Array.isArray(values));
  target.hidden = filters.length === 0;
  const chip = (name, values, value) => {
    const label = page.settings.filters[name] ?? name;
    return element("button", {
      type: "button", class: "chip", "aria-label": `Remove the filter ${label}: ${value}`,
      on: { click: () => page.navigate({ filters: { [name]: without(values, value) } }) },
    }, element("span", { class: "muted" }, label), element("bdi", {}, value), element("span", { "aria-hidden": "true" }, "✕"));
  };
  const clear = () => page.navigate({ filters: Object.fromEntries(filters.map(([name]) => [name, []])) });
  target.replaceChildren(
    ...filters.flatMap(([name, values]) => values.map((value) => chip(name, values, value))),
    ...(filters.length ? [element("button", { type: "button", class: "chip clear", on: { click: clear } }, "Clear all")] : []),
  );
}

const without = (values, removed) => values.filter((value) => value !== removed);
