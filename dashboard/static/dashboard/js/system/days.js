// The availability of the last days, one box a day in the time zone of the browser. Pure.

/** @typedef {[number, number]} Span  from and to, epoch milliseconds */

// The days up to `until`, oldest first: [{from, to}], from midnight to midnight.
export function daysUntil(until, count) {
  const midnight = new Date(until);
  midnight.setHours(0, 0, 0, 0);
  return Array.from({ length: count }, (_, index) => {
    const from = new Date(midnight);
    from.setDate(from.getDate() - (count - 1 - index));
    const to = new Date(from);
    to.setDate(to.getDate() + 1);
    return { from: from.getTime(), to: to.getTime() };
  });
}

// The parts of a day: [{state, left, width, from, to}] with the place and the width in percent of the day. What is neither
// down nor unknown is up; before `since` and after `until` nothing is watched.
/** @param {{from: number, to: number}} day
 *  @param {{since: number, until: number, down: Span[], unknown: Span[]}} availability */
export function partsOfDay(day, { since, until, down, unknown }) {
  const part = (state, [from, to]) => {
    const [start, end] = [Math.max(from, day.from), Math.min(to, day.to)];
    if (start >= end) return [];
    const length = day.to - day.from;
    return [{ state, from: start, to: end, left: (100 * (start - day.from)) / length, width: (100 * (end - start)) / length }];
  };
  return [
    ...part("up", [since, until]),
    ...unknown.flatMap((span) => part("unknown", span)),
    ...down.flatMap((span) => part("down", span)),
  ];
}
