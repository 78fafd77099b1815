// Which rows of a new list a user has not seen. Pure.

// The ids before the first one that is shown, in a list with the newest first. `all`: no shown row is in it any more.
export function newerRows(ids, shown) {
  const known = new Set(shown);
  const first = ids.findIndex((id) => known.has(id));
  return { count: first < 0 ? ids.length : first, all: first < 0 && ids.length > 0 };
}

export function heldText({ count, all }) {
  return `Held while you are in the list · ${all ? `${count} or more` : count} newer`;
}
