// What the templates of requests mark and the browser fills in: times in its time zone, the colours of models.

import { slotOf } from "../charts/palette.js";
import { findAll } from "../page/dom.js";
import { moment, timeOfDay, zoneName } from "../page/format.js";

// 14:31:06.864
export function clockText(ms) {
  return `${timeOfDay(ms)}.${String(Math.floor(ms) % 1000).padStart(3, "0")}`;
}

export function fillIn(root) {
  for (const time of findAll("time[data-clock]", root)) {
    const ms = Date.parse(time.dateTime);
    time.textContent = clockText(ms);
    time.title = `${moment(ms, true)} ${zoneName(ms)}`;
  }
  for (const time of findAll("time[data-moment]", root)) {
    const ms = Date.parse(time.dateTime);
    time.textContent = `${moment(ms, true).split(",")[0]}, ${clockText(ms)} ${zoneName(ms)}`;
    time.title = time.dateTime;
  }
  for (const swatch of findAll("[data-model]", root)) swatch.classList.add(`slot-${slotOf("model", swatch.dataset.model)}`);
}
