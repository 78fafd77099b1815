// The colours of the style sheet, for charts, and the assignment of colours to models.

// The colours of models, hosts and other groups. Slot 4 is that of the queue.
const SLOTS = [1, 2, 3, 5, 6, 7];
const SECOND_DASH = [7, 3]; // of the second line in a colour
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

// Every name keeps its colour, whatever else is on the page: its slot is the hash of the name. Where that is taken more
// often than another slot, the next one is used, in the order in which the names were first seen. The server has that
// order (`colour_order` in dashboard/page_context.py), so that all users see the same.
const assigned = new Map(); // group label → Map of name → {slot, round}

// `order`: group label → names, the first seen first.
export function setColourOrder(order = {}) {
  assigned.clear();
  for (const [group, names] of Object.entries(order)) for (const name of names) assign(group, name);
}

function assign(group, name) {
  if (!assigned.has(group)) assigned.set(group, new Map());
  const names = assigned.get(group);
  if (!names.has(name)) {
    const uses = SLOTS.map((slot) => [...names.values()].filter((other) => other.slot === slot).length);
    const least = Math.min(...uses);
    let index = hash(name) % SLOTS.length;
    while (uses[index] > least) index = (index + 1) % SLOTS.length;
    names.set(name, { slot: SLOTS[index], round: least });
  }
  return names.get(name);
}

// FNV-1a, 32 bits.
function hash(name) {
  let value = 0x811c9dc5;
  for (const unit of name) value = Math.imul(value ^ unit.codePointAt(0), 0x01000193) >>> 0;
  return value;
}

// "1" … "7", for the classes slot-1 … slot-7.
export const slotOf = (group, name) => String(assign(group, name).slot);

// The colour and the dash of a line. With more than six names, two have the same colour, of which one is dashed.
export function lineStyle(group, name) {
  const { slot, round } = assign(group, name);
  return { colour: `series-${slot}`, dash: round % 2 ? SECOND_DASH : [] };
}

// The colour of what a page shows as a whole: that of the model, where it shows one.
/** @param {{ filters: Record<string, string[]> }} page */
export const colourOf = ({ filters: { model = [] } }) => (model.length === 1 && model[0] ? lineStyle("model", model[0]).colour : "series-1");
