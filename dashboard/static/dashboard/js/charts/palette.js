// Colours out of the style sheet, so that charts and page cannot differ; and which model has which.

const SLOTS = 7;
const KEPT_IN = "llmmonitor.colours";
const cache = new Map();

export function colour(name) {
  if (!cache.has(name)) cache.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  return cache.get(name);
}

export const forgetColours = () => cache.clear();

export function withAlpha(hex, alpha) {
  const number = Number.parseInt(hex.slice(1), 16);
  return `rgba(${number >> 16}, ${(number >> 8) & 255}, ${number & 255}, ${alpha})`;
}

// Between two colours, 0…1.
export function mix(from, to, share) {
  const [a, b] = [from, to].map((hex) => Number.parseInt(hex.slice(1), 16));
  const part = (shift) => Math.round(((a >> shift) & 255) + (((b >> shift) & 255) - ((a >> shift) & 255)) * share);
  return `rgb(${part(16)}, ${part(8)}, ${part(0)})`;
}

let known = null;

function remembered() {
  if (known) return known;
  try {
    known = JSON.parse(localStorage.getItem(KEPT_IN)) ?? {};
  } catch {
    known = {}; // storage is shut: colours last as long as the page
  }
  return known;
}

// name → slot ("1"…"7" or "other"). A model keeps its colour once it was seen; of those shown, the busiest come first.
export function slotsOf(names) {
  const kept = remembered();
  const found = new Map();
  const used = new Set();
  for (const name of names.slice(0, SLOTS)) {
    if (kept[name] && !used.has(kept[name])) {
      found.set(name, String(kept[name]));
      used.add(kept[name]);
    }
  }
  const taken = new Set(Object.values(kept));
  for (const name of names.slice(0, SLOTS)) {
    if (found.has(name)) continue;
    const slots = Array.from({ length: SLOTS }, (_, index) => index + 1).filter((slot) => !used.has(slot));
    const slot = slots.find((one) => !taken.has(one)) ?? slots[0];
    used.add(slot);
    taken.add(slot);
    kept[name] ??= slot;
    found.set(name, String(slot));
  }
  for (const name of names.slice(SLOTS)) found.set(name, "other");
  try {
    localStorage.setItem(KEPT_IN, JSON.stringify(Object.fromEntries(Object.entries(kept).slice(-200))));
  } catch {
    // As above.
  }
  return found;
}
