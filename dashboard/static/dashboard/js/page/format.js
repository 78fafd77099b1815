// Numbers for people: three significant digits, then the unit; an em dash where there is no data. Pure functions.
// The rules are those of dashboard/formatting.py. Tests check both against tests/dashboard/format_cases.json.

export const NO_DATA = "—";
export const SPACE = "\u00a0"; // no-break: a number and its unit stay on one line
const LEAST = 0.001; // values below half of this are shown as "<0.001"

/** Times of a rate, and their seconds. */
const PER = [{ time: "s", seconds: 1 }, { time: "min", seconds: 60 }, { time: "h", seconds: 3600 }, { time: "day", seconds: 86400 }];

const NO_FIGURE = { number: NO_DATA, unit: "" };
const isMissing = (value) => value === null || value === undefined || Number.isNaN(value);

/** @type {(number: string, unit?: string) => Figure} */
const figure = (number, unit = "") => ({ number, unit });
export const text = ({ number, unit }) => (unit ? number + SPACE + unit : number);

// With this many decimals; a half is rounded up.
export function fixed(value, places) {
  return value.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
}

export function significant(value, digits = 3) {
  if (value === 0) return "0";
  if (Math.abs(value) < LEAST / 2) return `<${LEAST}`;
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  const places = Math.max(0, digits - 1 - magnitude);
  const rounded = fixed(value, places);
  // 9.996 rounds to 10.00: one digit too many.
  const shown = rounded.replace(/[,.]/g, "").replace(/^[-0]+/, "");
  return places && shown.length > digits ? fixed(value, places - 1) : rounded;
}

// 0.42 ms, 184 ms, 1.84 s, 1 m 32 s, 2 h 5 m.
export function duration(milliseconds) {
  if (isMissing(milliseconds)) return NO_FIGURE;
  if (milliseconds < 999.5) return figure(milliseconds === 0 ? "0" : significant(milliseconds), "ms");
  const seconds = milliseconds / 1000;
  if (seconds < 59.95) return figure(significant(seconds), "s");
  const total = Math.round(seconds);
  if (total < 3600) return figure(`${Math.floor(total / 60)}${SPACE}m${SPACE}${total % 60}`, "s");
  return figure(`${Math.floor(total / 3600)}${SPACE}h${SPACE}${Math.floor((total % 3600) / 60)}`, "m");
}

// A number with a prefix for large values: 12.4, 1.84 k, 3.10 M; the unit follows the prefix.
export function compact(value, unit = "") {
  if (isMissing(value)) return NO_FIGURE;
  /** @type {[number, number, string][]} */
  const prefixes = [[999.5e6, 1e9, "G"], [999.5e3, 1e6, "M"], [999.5, 1e3, "k"]];
  for (const [limit, divisor, prefix] of prefixes) {
    if (Math.abs(value) >= limit) return figure(significant(value / divisor), unit ? prefix + SPACE + unit : prefix);
  }
  return figure(significant(value), unit);
}

// A number per second, or per minute, hour or day where it would be below 1: 12.4 per s, 22.0 per h. `per` is the unit
// without its time, such as "tok/". Less than one in a day is shown as <1.
export function rate(value, per) {
  if (isMissing(value) || value === 0) return compact(value, `${per}s`);
  const { time, seconds } = timeOfRate(value);
  return value * seconds < 1 ? figure("<1", per + time) : compact(value * seconds, per + time);
}

// The time in which a number per second is shown: the shortest in which it is at least 1, or a day.
export const timeOfRate = (value) => PER.find(({ seconds }) => value * seconds >= 1) ?? PER.at(-1);

// One decimal below 10, none above. Small values are shown as <0.1, not as 0.
export function percent(value) {
  if (isMissing(value)) return NO_FIGURE;
  if (value === 0) return figure("0", "%");
  if (value > 0 && value < 0.05) return figure("<0.1", "%");
  return figure(fixed(value, Math.abs(value) < 9.95 ? 1 : 0), "%");
}

// A count: 1,414. An average of counts has one decimal below 10.
export function whole(value, unit = "") {
  if (isMissing(value)) return NO_FIGURE;
  return figure(fixed(value, Number.isInteger(value) || Math.abs(value) >= 9.95 ? 0 : 1), unit);
}

const COUNTED = ["requests", "errors", "GPUs", "problems", "rules", "messages"]; // units of whole numbers

// A value in the unit of its metric: 1.84 s, 12 %, 1,500 requests, 85.4 °C.
export function inUnit(value, unit) {
  if (unit === "ms") return duration(value);
  if (unit === "s") return duration(isMissing(value) ? null : 1000 * value);
  if (unit === "%") return percent(value);
  if (COUNTED.includes(unit)) return whole(value, value === 1 ? unit.slice(0, -1) : unit);
  return compact(value, (unit ?? "").replace("tokens", "tok"));
}

// A threshold in its unit without trailing zeros: 5 s, 1 m, 48 h, 10 %, 85 °C; of counted things the number.
export function thresholdText(value, unit) {
  const { number, unit: shown } = inUnit(value, unit);
  if (number.endsWith(`${SPACE}0`)) return number.slice(0, -2); // of 1 m 0 s and 48 h 0 m
  return text({ number: number.includes(".") ? number.replace(/\.?0+$/, "") : number, unit: COUNTED.includes(unit) ? "" : shown });
}

// Requests and tokens of all requests, per time.
export const requestRate = (value) => text(rate(value, "per "));
export const tokenRate = (value) => text(rate(value, "tok/"));

export const valueText = (value, unit) => text(inUnit(value, unit));

/** @type {Record<string, (value: number | null | undefined) => Figure>} */
export const FORMATS = {
  duration,
  rate: (value) => rate(value, "per "),
  throughput: (value) => rate(value, "tok/"),
  percent,
  requests: (value) => whole(value),
  pending: (value) => whole(value, "pending"),
  compact,
};

// Times, in the time zone of the browser.

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const shortClock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat([], { day: "numeric", month: "short" });
const zoned = new Intl.DateTimeFormat([], { timeZoneName: "short" });

export const timeOfDay = (ms) => clock.format(ms);
export const hourAndMinute = (ms) => shortClock.format(ms);
export const dayOfMonth = (ms) => day.format(ms);

export function zoneName(ms) {
  return zoned.formatToParts(ms).find((part) => part.type === "timeZoneName")?.value ?? "";
}

// "24 Nov, 14:31", or without the day "14:31:10".
export function moment(ms, withDay) {
  return withDay ? `${day.format(ms)}, ${shortClock.format(ms)}` : clock.format(ms);
}

// "24 Nov, 13:30 to 14:30", "24 Nov, 13:30 to 25 Nov, 14:30"; within one minute with the seconds.
export function betweenMoments(from, to) {
  if (day.format(from) !== day.format(to)) return `${moment(from, true)} to ${moment(to, true)}`;
  const time = shortClock.format(from) === shortClock.format(to) ? clock : shortClock;
  return `${day.format(from)}, ${time.format(from)} to ${time.format(to)}`;
}

// "0:07", "12:30", and from an hour on "1 h 5 m".
export function minutesAndSeconds(seconds) {
  const total = Math.max(0, Math.floor(seconds));
  if (total >= 3600) return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} m`;
  return `${Math.floor(total / 60)}:${String(total % 60).padStart(2, "0")}`;
}

// "now", "3 s ago", "2 min ago".
export function ago(seconds) {
  if (seconds < 1) return "now";
  if (seconds < 100) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}
