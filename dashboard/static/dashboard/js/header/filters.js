// The filters (model, provider, machine, promoted tags): each a menu with several choices, and a chip for each chosen value.

import { parameters } from "../page/address.js";
import { findChoices } from "../page/api.js";
import { disclosure } from "../page/disclosure.js";
import { element, find, findAll, setText, whenTyped } from "../page/dom.js";
import { whole } from "../page/format.js";

const SEARCH_FROM = 9; // a menu with at least this many options has a search field

export function mountFilters(page) {
  for (const root of findAll("[data-filter]")) mountFilter(root, page);
  mountToggle();
  const draw = () => drawChips(page);
  page.topics.on("data", draw);
  draw();
}

// On a phone, one button shows the filters.
function mountToggle() {
  const toggle = find("#filters-toggle");
  toggle.addEventListener("click", () => {
    const shown = find(".head-controls").classList.toggle("shows-filters");
    toggle.setAttribute("aria-expanded", String(shown));
  });
}

function mountFilter(root, page) {
  const name = root.dataset.filter;
  const title = page.settings.filters[name];
  const label = name.startsWith("tag.") ? `value of ${title}` : title.toLowerCase();
  const button = find("button", root);
  const menu = find(".filter-menu", root);
  const chosen = () => page.filters[name] ?? [];
  // {choices, total}: the busiest choices, of `total`.
  const known = () => page.data.options?.[name] ?? { choices: [], total: 0 };
  const options = () => {
    const { choices } = known();
    const missing = chosen().filter((value) => !choices.some((option) => option.value === value));
    return [...choices, ...missing.map((value) => ({ value, count: name === "host" ? null : 0 }))];
  };
  const hasMore = () => known().total > known().choices.length;
  const toggle = (value, on) => change(page, name, (values) => (on ? [...values, value] : without(values, value)));

  const drawOptions = (list, query, matches, omitted) => {
    list.replaceChildren(
      ...matches.map(({ value, count }) => {
        const checkbox = element("input", { type: "checkbox", value });
        checkbox.checked = chosen().includes(value);
        checkbox.addEventListener("change", () => toggle(value, checkbox.checked));
        return element("label", { class: "filter-option", title: value }, checkbox, element("bdi", {}, value),
          count === null ? null : element("span", { class: "count" }, whole(count).number));
      }),
      ...(matches.length ? [] : [element("p", { class: "filter-none" }, query ? `No ${label} matches “${query}”.` : `No ${label} yet.`)]),
      ...(omitted > 0 ? [element("p", { class: "filter-none" }, `Not shown: ${whole(omitted).number}. Search for a part of the name.`)] : []),
    );
  };
  // Show the matching choices of the page at once, and those of the server when the user has stopped typing.
  const drawLocal = (list, query) => {
    const local = options().filter(({ value }) => value.toLowerCase().includes(query.toLowerCase()));
    drawOptions(list, query, local, query ? 0 : known().total - known().choices.length);
  };
  const search = async (list, input) => {
    const query = input.value.trim();
    if (!query || !hasMore()) return;
    try {
      const { choices, total } = (await findChoices(location.search, query))[name];
      if (input.value.trim() === query) drawOptions(list, query, choices, total - choices.length);
    } catch (problem) {
      if (input.value.trim() === query) list.append(element("p", { class: "filter-none" }, problem.message));
    }
  };
  const panel = disclosure(button, menu, {
    onOpen() {
      const list = element("div", { class: "filter-list", role: "group", "aria-label": title });
      const input = options().length >= SEARCH_FROM || hasMore()
        ? element("input", { type: "search", class: "filter-search", placeholder: `Find a ${label}`, "aria-label": `Find a ${label}` })
        : null;
      input?.addEventListener("input", () => drawLocal(list, input.value.trim()));
      if (input) whenTyped(input, () => search(list, input));
      menu.replaceChildren(...(input ? [input] : []), list);
      drawLocal(list, "");
      // A menu ends below the end of its button, unless it would begin outside the page.
      menu.classList.toggle("from-left", button.getBoundingClientRect().right < menu.offsetWidth);
      (input ?? find("input", list))?.focus();
    },
  });
  const draw = () => {
    const values = chosen();
    const { total } = known();
    const all = total > 1 ? `All ${whole(total).number}` : "All";
    setText(find(".filter-value", root), values.length === 0 ? all : values.length === 1 ? values[0] : `${values.length} of ${whole(total).number}`);
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
  const chip = (name, value) => {
    const label = page.settings.filters[name] ?? name;
    return element("button", {
      type: "button", class: "chip", "aria-label": `Remove the filter ${label}: ${value}`,
      on: { click: () => change(page, name, (values) => without(values, value)) },
    }, element("span", { class: "muted" }, label), element("bdi", {}, value), element("span", { "aria-hidden": "true" }, "✕"));
  };
  const clear = () => page.navigate({ filters: Object.fromEntries(filters.map(([name]) => [name, []])) });
  target.replaceChildren(
    ...filters.flatMap(([name, values]) => values.map((value) => chip(name, value))),
    ...(filters.length ? [element("button", { type: "button", class: "chip clear", on: { click: clear } }, "Clear all")] : []),
  );
}

// Change the values in the address. Those of the page are older while it loads the data of a change.
const change = (page, name, changed) => page.navigate({ filters: { [name]: changed(parameters(name)) } });

const without = (values, removed) => values.filter((value) => value !== removed);
