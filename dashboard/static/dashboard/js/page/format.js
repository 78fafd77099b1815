// Numbers as people read them: three significant digits, the unit beside them, an em dash where nothing was measured.
// The same rules as dashboard/formatting.py; both are held to tests/dashboard/format_cases.json. Pure: no document here.

export const NO_DATA = "—";
export const SPACE = "\u00a0"; // a figure and its unit stay on one line
const LEAST = 0.001; // what is smaller than half of this is said to be below it

const NOTHING = { number: NO_DATA, unit: "" };
const isNothing = (value) => value === null || value === undefined || Number.isNaN(value);

export const figure = (number, unit = "") => ({ number, unit });
export const text = ({ number, unit }) => (unit ? number + SPACE + unit : number);

function fixed(value, places) {
  return value.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
}

export function significant(value, digits = 3) {
  if (value === 0) return "0";
  if (Math.abs(value) < LEAST / 2) return `<${LEAST}`;
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  const places = Math.max(0, digits - 1 - magnitude);
  const found = fixed(value, places);
  // 9.996 rounds to 10.00: one digit too many.
  const shown = found.replace(/[,.]/g, "").replace(/^[-0]+/, "");
  return places && shown.length > digits ? fixed(value, places - 1) : found;
}

// 0.42 ms, 184 ms, 1.84 s, 1 m 32 s, 2 h 5 m.
export function duration(milliseconds) {
  if (isNothing(milliseconds)) return NOTHING;
  if (milliseconds < 999.5) return figure(milliseconds === 0 ? "0" : significant(milliseconds), "ms");
  const seconds = milliseconds / 1000;
  if (seconds < 59.95) return figure(significant(seconds), "s");
  const whole = Math.round(seconds);
  if (whole < 3600) return figure(`${Math.floor(whole / 60)}${SPACE}m${SPACE}${whole % 60}`, "s");
  return figure(`${Math.floor(whole / 3600)}${SPACE}h${SPACE}${Math.floor((whole % 3600) / 60)}`, "m");
}

// 12.4, 1.84 k, 3.10 M with the unit after the prefix.
export function compact(value, unit = "") {
  if (isNothing(value)) return NOTHING;
  for (const [limit, divisor, prefix] of [[999.5e6, 1e9, "G"], [999.5e3, 1e6, "M"], [999.5, 1e3, "k"]]) {
    if (Math.abs(value) >= limit) return figure(significant(value / divisor), unit ? prefix + SPACE + unit : prefix);
  }
  return figure(significant(value), unit);
}

// One decimal under 10, whole numbers above.
export function percent(value) {
  if (isNothing(value)) return NOTHING;
  if (value === 0) return figure("0", "%");
  if (value > 0 && value < 0.05) return figure("<0.1", "%");
  return figure(Math.abs(value) < 9.95 ? value.toFixed(1) : value.toFixed(0), "%");
}

// A count: 1,414; a mean of counts keeps one decimal under 10.
export function whole(value, unit = "") {
  if (isNothing(value)) return NOTHING;
  return figure(Number.isInteger(value) || Math.abs(value) >= 9.95 ? fixed(value, 0) : value.toFixed(1), unit);
}

export const FORMATS = {
  duration,
  per_second: (value) => compact(value, "per s"),
  throughput: (value) => compact(value, "tok/s"),
  percent,
  requests: (value) => whole(value),
  pending: (value) => whole(value, "pending"),
  compact,
};

// Times, in the viewer's zone.

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

// "24 Nov, 14:31" where the day matters, else "14:31:10".
export function moment(ms, withDay) {
  return withDay ? `${day.format(ms)}, ${shortClock.format(ms)}` : clock.format(ms);
}

export function minutesAndSeconds(seconds) {
  const all = Math.max(0, Math.floor(seconds));
  const rest = String(all % 60).padStart(2, "0");
  return all < 3600 ? `${Math.floor(all / 60)}:${rest}` : `${Math.floor(all / 3600)} h ${Math.floor((all % 3600) / 60)} m`;
}

// "now", "3 s ago", "2 m ago".
export function ago(seconds) {
  if (seconds < 1) return "now";
  if (seconds < 100) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}
