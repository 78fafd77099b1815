// A cell of a device: the large figure of now, a bar, and a small picture of the time range.

import { element, setText, svg } from "../page/dom.js";
import { SPACE, hourAndMinute, text } from "../page/format.js";
import { HEIGHT, WIDTH, bandPath, changeOf, extent, heightOf, linePath } from "./lines.js";

const part = (name, attributes) => svg("path", { class: name, ...attributes });

export class Cell {
  constructor(column) {
    this.column = column;
    this.node = element("td", { "data-title": column.title });
    this.figure = element("p", { class: "device-figure" });
    this.note = element("span", { class: "device-note" });
    this.bar = svg("rect", { class: "device-bar", width: 0, height: 3, rx: 1 });
    this.before = part("device-before");
    this.band = part("device-band");
    this.lines = column.lines.map(({ colour }) => part(`device-line ${colour}`));
    this.limit = part("device-limit");
    this.threshold = part("device-threshold");
    this.cursor = part("device-cursor");
    this.summary = element("span", { class: "sr-only" });
    this.picture = svg("svg", { class: "device-picture", viewBox: `0 -1 ${WIDTH} ${HEIGHT + 2}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      this.band, this.before, this.limit, this.threshold, ...this.lines, this.cursor);
    const meter = svg("svg", { class: "device-meter", viewBox: "0 0 100 3", preserveAspectRatio: "none", "aria-hidden": "true" }, this.bar);
    this.node.append(element("div", { class: "device-now" }, this.figure, this.note), meter, this.picture, this.summary);
  }

  // `shown`: {device, key, lines, before, scale, threshold, span}.
  drawLines({ device, key, lines, before, scale, threshold, span }) {
    const { column } = this;
    const values = column.lines.map(({ metric, stat }) => lines.get(metric, stat, key));
    this.values = values;
    const of = (stat) => lines.get(column.lines[0].metric, stat, key);
    setPath(this.band, column.band ? bandPath(of("min"), of("max"), lines.count, scale) : "");
    setPath(this.before, linePath(before.get(column.lines[0].metric, "avg", key), before.count || 1, scale));
    this.lines.forEach((line, index) => setPath(line, linePath(values[index], lines.count, scale)));
    setPath(this.limit, across(column.limit?.(device), scale));
    setPath(this.threshold, across(threshold?.value, scale));
    const range = extent(column.band ? [of("min"), of("max")] : values);
    this.highest = range?.[1] ?? null;
    this.change = column.change ? changeText(changeOf(values[0], before.get(column.lines[0].metric, "avg", key))) : "";
    setText(this.summary, range ? `${column.format(range[0])} to ${column.format(range[1])} in ${span}.` : `No samples in ${span}.`);
  }

  // `newest`: the newest value of each line.
  drawNow(device, { isDown, threshold }) {
    const { column } = this;
    const newest = (this.values ?? []).map((values) => values?.findLast((value) => value !== null && value !== undefined) ?? null);
    const parts = isDown ? [{ number: "—", unit: "" }] : column.parts(device, newest);
    const texts = parts.map((one) => [one.number, one.unit, one.label ?? ""]);
    const drawn = JSON.stringify(texts);
    if (this.figure.dataset.drawn !== drawn) {
      this.figure.dataset.drawn = drawn;
      this.figure.replaceChildren(...texts.map(([number, unit, label]) =>
        element("span", {}, element("b", {}, number), `${unit ? `${SPACE}${unit}` : ""}${label ? `${SPACE}${label}` : ""} `)));
    }
    const share = isDown ? null : column.share(device);
    this.bar.setAttribute("width", Math.max(0, Math.min(100, share ?? 0)).toFixed(1));
    const value = device[column.field];
    this.node.classList.toggle("is-over", Boolean(threshold) && !isDown && value > threshold.value);
    if (!this.atCursor) setText(this.note, isDown ? "" : this.#noteText(device));
    this.device = device;
    this.isDown = isDown;
  }

  #noteText(device) {
    const { column } = this;
    if (column.highest && this.highest !== null) return `highest ${column.format(this.highest)}`;
    return column.note(device) || this.change;
  }

  // Show the values at a time; null: none.
  drawCursor(time, lines) {
    const index = time === null ? -1 : lines.indexAt(time);
    const isInside = index >= 0 && index < lines.count;
    this.atCursor = isInside;
    const x = (((index + 0.5) / (lines.count || 1)) * WIDTH).toFixed(2);
    setPath(this.cursor, isInside ? `M${x},0V${HEIGHT}` : "");
    if (isInside) {
      const shown = (this.values ?? []).map((values) => values?.[index] ?? null);
      setText(this.note, `${shown.map((value) => (value === null ? "—" : this.column.format(value))).join(" · ")} at ${hourAndMinute(lines.start + index * lines.step)}`);
    } else if (this.device) setText(this.note, this.isDown ? "" : this.#noteText(this.device));
  }
}

function setPath(path, d) {
  if ((path.getAttribute("d") ?? "") !== d) path.setAttribute("d", d);
}

function across(value, scale) {
  if (value === null || value === undefined) return "";
  const y = heightOf(value, scale);
  return y === null ? "" : `M0,${y.toFixed(2)}H${WIDTH}`;
}

// "▲ 18 points": the change against the time before, of values in percent.
export function changeText(change) {
  const points = Math.round(change ?? 0);
  if (!points) return "";
  return `${points > 0 ? "▲" : "▼"} ${text({ number: String(Math.abs(points)), unit: Math.abs(points) === 1 ? "point" : "points" })}`;
}
