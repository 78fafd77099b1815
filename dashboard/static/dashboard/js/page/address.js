// The parameters of the page in its address. They have the names of the API; those that the page does not know stay.

// The query with a change: {range} or {from, to} in epoch milliseconds, {filters: {model: […]}}, and {set: {name: value}}, where
// null removes a parameter. Pure.
/** @param {string} query
 *  @param {AddressChange} change */
export function changedQuery(query, change) {
  const search = new URLSearchParams(query);
  if (change.range || change.from !== undefined) {
    for (const name of ["range", "from", "to"]) search.delete(name);
    if (change.range) search.set("range", change.range);
    else for (const name of ["from", "to"]) search.set(name, iso(change[name]));
  }
  for (const [name, values] of Object.entries(change.filters ?? {})) {
    search.delete(name);
    for (const value of values) search.append(name, value);
  }
  for (const [name, value] of Object.entries(change.set ?? {})) {
    if (value === null) search.delete(name);
    else search.set(name, value);
  }
  return search.toString();
}

const iso = (ms) => new Date(ms).toISOString().replace(".000Z", "Z");
const relative = (query) => (query ? `?${query}` : location.pathname);

// A step that the browser's back button undoes.
export const pushAddress = (change) => history.pushState({}, "", relative(changedQuery(location.search, change)));

// How something is shown, which the back button does not undo.
export const replaceAddress = (change) =>
  history.replaceState(history.state, "", relative(changedQuery(location.search, change)));

export const parameter = (name) => new URLSearchParams(location.search).get(name);
export const parameters = (name) => new URLSearchParams(location.search).getAll(name);
