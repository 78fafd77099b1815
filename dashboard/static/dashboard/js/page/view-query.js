// The part of an address that all pages share: its time range, whether the window before is shown, and its filters. Links between pages keep it. The rules are
// those of dashboard/view_query.py.

import { findAll } from "./dom.js";

const WINDOW = ["range", "from", "to", "compare"];

// "?range=1h&model=a" of the address of a page; empty for neither. Pure.
/** @param {string} query
 *  @param {string[]} filters the names of the filters */
export function viewQuery(query, filters) {
  const search = new URLSearchParams(query);
  const kept = new URLSearchParams();
  for (const name of [...WINDOW, ...filters]) for (const value of search.getAll(name)) kept.append(name, value);
  const text = kept.toString();
  return text && `?${text}`;
}

// The query for a link to another page. With `data-with-view`, the link follows the address.
export const currentView = (page) => viewQuery(location.search, Object.keys(page.settings.filters));

// Links with `data-with-view` follow the address of the page.
export function mountViewLinks(page) {
  const update = () => {
    for (const link of findAll("a[data-with-view]")) link.search = currentView(page);
  };
  page.topics.on("data", update);
  update();
}
