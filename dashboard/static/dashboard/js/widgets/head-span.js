// The time that the values in the head of a chart are of, where they are those of its newest step. Pure.

// "now" on a live page, else "last 30 s", "last minute", "last 10 minutes" of the time range. `step` is in milliseconds.
/** @param {{ live: boolean, step: number }} shown */
export function spanOfNewestStep({ live, step }) {
  if (live && step <= 60_000) return "now";
  return step > 1000 && step < 60_000 ? `last ${step / 1000}\u00a0s` : `last ${stepText(step / 1000)}`;
}

// "minute", "30 seconds", to follow "per".
export function stepText(seconds) {
  if (seconds === 1) return "second";
  if (seconds < 60) return `${seconds} seconds`;
  if (seconds === 60) return "minute";
  if (seconds < 3600) return `${seconds / 60} minutes`;
  return seconds === 3600 ? "hour" : `${seconds / 3600} hours`;
}
