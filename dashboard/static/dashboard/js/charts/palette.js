// The colours of the style sheet, for charts, and the assignment of colours to models.

const SLOTS = 7;
const STORAGE_KEY = "llmmonitor.colours";
const cache = new Map();

export function colour(name) {
  if (!cache.has(name)) cache.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  return cache.get(name);
}

// To be called when the theme changes.
export const forgetColours = () => cache.clear();

export function withAlpha(hex, alpha) {
  const number = Number.parseInt(hex.slice(1), 16);
  return `rgba(${number >> 16}, ${(number >> 8) & 255}, ${number & 255}, ${alpha})`;
}

// A colour between two colours; `share` is 0 to 1.
export function mix(from, to, share) {
  const [a, b] = [from, to].map((hex) => Number.parseInt(hex.slice(1), 16));
  const part = (shift) => Math.round(((a >> shift) & 255) + (((b >> shift) & 255) - ((a >> shift) & 255)) * share);
  return `rgb(${part(16)}, ${part(8)}, ${part(0)})`;
}

let storedSlots = null; // model → slot

function loadSlots() {
  if (storedSlots) return storedSlots;
  try {
    storedSlots = JSON.parse(localStorage.getItem(STORAGE_KEY)) ?? {};
  } catch {
    storedSlots = {}; // no access to the storage: the colours last until the page is closed
  }
  return storedSlots;
}

// The slot of each model: Map of name → "1" … "7" or "other". A model keeps the slot it once had; the first `SLOTS` names
// have slots of their own, so pass the models with the most requests first.
export function slotsOf(names) {
  const stored = loadSlots();
  const slots = new Map();
  const used = new Set();
  for (const name of names.slice(0, SLOTS)) {
    if (stored[name] && !used.has(stored[name])) {
      slots.set(name, String(stored[name]));
      used.add(stored[name]);
    }
  }
  const assigned = new Set(Object.values(stored));
  for (const name of names.slice(0, SLOTS)) {
    if (slots.has(name)) continue;
    const free = Array.from({ length: SLOTS }, (_, index) => index + 1).filter((slot) => !used.has(slot));
    const slot = free.find((candidate) => !assigned.has(candidate)) ?? free[0];
    used.add(slot);
    assigned.add(slot);
    stored[name] ??= slot;
    slots.set(name, String(slot));
  }
  for (const name of names.slice(SLOTS)) slots.set(name, "other");
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(Object.fromEntries(Object.entries(stored).slice(-200))));
  } catch {
    // No access to the storage, as above.
  }
  return slots;
}
