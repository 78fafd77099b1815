// Times in the time zone of the browser, whose clocks are set forward or back. Pure.
// A local time is a number here: the epoch milliseconds at which a clock in UTC shows the same digits.

const DAY_MS = 86_400_000;

const offsetAt = (ms) => -new Date(ms).getTimezoneOffset() * 60_000;

export const localTime = (ms) => ms + offsetAt(ms);

// The instants at which the clocks show a local time, in order: two where clocks are set back, none where they are set
// forward.
export function instantsOf(local) {
  const offsets = new Set([offsetAt(local - DAY_MS), offsetAt(local + DAY_MS)]);
  return [...offsets].map((offset) => local - offset).filter((ms) => localTime(ms) === local).sort((a, b) => a - b);
}

// The value of an input of type datetime-local.
export const localText = (ms) => new Date(localTime(ms)).toISOString().slice(0, 19);

// The instant of such a value. A time that occurs twice is the first of the two, or the last with `last`. A time that the
// clocks skip is as long after the change as it would have been without the change: 02:30 is 03:30.
export function instantOf(text, { last = false } = {}) {
  const local = Date.parse(`${text}Z`);
  const instants = instantsOf(local);
  return (last ? instants.at(-1) : instants[0]) ?? local - offsetAt(local - DAY_MS);
}
