// The way from a bar or a cell to the requests that it counts.

import { requestsPageUrl } from "./api.js";

// The query of the page of requests: the window, the filters of the page, and `bounds`, such as {min_response_time_ms: 100}.
// One that is null is omitted. `filters` replace those of the page with the same name. Pure.
export function requestsQuery({ from, to }, filters, bounds) {
  const search = new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });
  for (const [name, values] of Object.entries(filters)) for (const value of [values].flat()) search.append(name, value);
  for (const [name, value] of Object.entries(bounds)) if (value !== null && value !== undefined) search.set(name, shortNumber(value));
  return search.toString();
}

// The limits of buckets are long fractions. No measured time is between one and its first nine digits.
const shortNumber = (value) => String(Number(Number(value).toPrecision(9)));

/** @param {{ window: TimeWindow, filters: Record<string, string[]> }} page
 *  @param {{ window?: TimeWindow, filters?: Record<string, string[]>, bounds?: Record<string, number | null> }} what */
export function openRequests(page, { window = page.window, filters = {}, bounds = {} }) {
  location.assign(`${requestsPageUrl()}?${requestsQuery(window, { ...page.filters, ...filters }, bounds)}`);
}
