// What the page shows, in words: for pictures of charts, on paper and on a wall.

import { betweenMoments, zoneName } from "./format.js";

// "24 Nov, 13:30 to 24 Nov, 14:30 CET · model llama-3-70b · includes demo data"; a page without a time range has none.
export function captionOf(page) {
  const { from, to } = page.window;
  const filters = Object.entries(page.filters).map(([name, values]) => `${name} ${[values].flat().join(", ")}`);
  const demo = page.data.demo?.present ? ["includes demo data"] : [];
  return [`${betweenMoments(from, to)} ${zoneName(to)}`, ...filters, ...demo].join(" · ");
}
