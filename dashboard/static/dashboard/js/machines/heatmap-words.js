// What the heatmaps of machines are of, in words. Pure.

// "4 weeks", "1 week", "3 days", "5 hours": how much data a heatmap by hour of the week has. `hours`: [weekday][hour], the
// number of hours with data.
/** @param {number[][]} hours */
export function lengthOf(hours) {
  const total = hours.flat().reduce((sum, count) => sum + count, 0);
  if (total >= 6.5 * 24) return counted(Math.round(total / 168), "week");
  return total >= 24 ? counted(Math.round(total / 24), "day") : counted(total, "hour");
}

const counted = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

// Which of the filters of the page do not apply to machines: ["the filter by model does not apply"], or nothing.
/** @param {Record<string, any>} chosen
 *  @param {Record<string, string>} labels of all filters */
export function filtersNotApplied(chosen, labels) {
  const names = Object.keys(chosen).filter((name) => name !== "host").map((name) => (labels[name] ?? name).toLowerCase());
  if (!names.length) return [];
  const listed = [names.slice(0, -1).join(", "), names.at(-1)].filter(Boolean).join(" and ");
  return [names.length === 1 ? `the filter by ${listed} does not apply` : `the filters by ${listed} do not apply`];
}
