// Annotations on charts over time: a thin line at the time of each, and a tag with its text beside the upper end of the line.
// The plugin reads `chart.overlays.annotations`, which `annotationsOf` returns. Its functions without a canvas are pure.

import { NO_DATA, moment } from "../page/format.js";
import { labelHeights } from "./alert-labels.js";
import { colour, withAlpha } from "./palette.js";
import { clipped } from "./plugins.js";

const FONT = "600 10.5px Inter";
const TAG_CHARACTERS = 24;
const TAG_PX = 16;
const PADDING_PX = 5;
const GAP_PX = 4; // between two tags
const LEAST_AREA = { width: 240, height: 110 }; // a smaller chart has lines only
const TOOLTIP_CHARACTERS = 46; // in a row
const MOST_IN_TOOLTIP = 3;
const KINDS = { deploy: "Deploy", config: "Configuration", note: "Note" };

// The annotations of a page, newest first, with `time` in epoch milliseconds.
export const annotationsOf = (page) => (page.data.annotations ?? []).map((annotation) => ({ ...annotation, time: Date.parse(annotation.at) }));

export function shortened(text, most = TAG_CHARACTERS) {
  const characters = [...text];
  return characters.length > most ? `${characters.slice(0, most - 1).join("").trimEnd()}…` : text;
}

// Where the tags are: {left, width, index} of those that have a place. `lines`: [{x, width}], the newest first. A tag is left of
// its line, or right of it at the left edge. One that would overlap that of a newer annotation has no place.
export function placeTags(lines, { left, right }) {
  const placed = [];
  lines.forEach(({ x, width }, index) => {
    const starts = [x - width, x].filter((start) => start >= left && start + width <= right);
    const isFree = (start) => placed.every((tag) => start + width + GAP_PX <= tag.left || start >= tag.left + tag.width + GAP_PX);
    const start = starts.find(isFree);
    if (start !== undefined) placed.push({ left: start, width, index });
  });
  return placed;
}

// The top of the tags: the highest place that no label of an alert has, or the upper edge where there is none. `labels`: their
// middles.
export function topOfTags(labels, { top, bottom }) {
  for (let at = top; at + TAG_PX <= bottom; at += TAG_PX / 2) {
    if (labels.every((middle) => Math.abs(middle - (at + TAG_PX / 2)) >= TAG_PX)) return at;
  }
  return top;
}

// The tags: {left, width, text}. One without a place is counted in the nearest tag: "deploy 1.4 +1". `lines`: [{x, tag}],
// the newest first.
/** @param {{ x: number, tag: string }[]} lines
 *  @param {{ left: number, right: number }} area
 *  @param {(text: string) => number} widthOf */
export function tagsOf(lines, area, widthOf) {
  const textOf = ({ tag, more }) => (more ? `${tag} +${more}` : tag);
  let groups = lines.map((line) => ({ ...line, more: 0 }));
  for (;;) {
    const placed = placeTags(groups.map((group) => ({ x: group.x, width: widthOf(textOf(group)) })), area);
    const kept = placed.map(({ index }) => groups[index]);
    if (kept.length === groups.length || !kept.length) return placed.map(({ left, width, index }) => ({ left, width, text: textOf(groups[index]) }));
    for (const group of groups.filter((one) => !kept.includes(one))) {
      const nearest = kept.reduce((best, one) => (Math.abs(one.x - group.x) < Math.abs(best.x - group.x) ? one : best));
      nearest.more += 1 + group.more;
    }
    groups = kept;
  }
}

// "Deploy, llama-3-70b on gpu-1": what kind of annotation it is, and what it is about.
export function subjectOf({ kind, model_name: model, host }) {
  const about = [model, host && `on ${host}`].filter(Boolean).join(" ");
  return [KINDS[kind] ?? kind, about].filter(Boolean).join(", ");
}

// Those whose time is in the bucket, or nearer to its start than to that of another.
export const annotationsAt = (annotations, start, step) => annotations.filter(({ time }) => time >= start - step / 2 && time < start + step);

// The rows of a tooltip about these annotations.
export function tooltipRows(annotations) {
  const shown = annotations.slice(0, MOST_IN_TOOLTIP).flatMap((annotation) => [
    ...wrapped(annotation.text, TOOLTIP_CHARACTERS),
    `  ${moment(annotation.time, true)} · ${shortened(subjectOf(annotation), TOOLTIP_CHARACTERS)}`,
  ]);
  const rest = annotations.length - MOST_IN_TOOLTIP;
  return rest > 0 ? [...shown, `and ${rest} more`] : shown;
}

// The text in rows of at most so many characters. A longer word is broken.
export function wrapped(text, most) {
  const rows = [];
  let row = "";
  for (const word of text.split(" ").flatMap((long) => long.match(new RegExp(`.{1,${most}}`, "gu")) ?? [])) {
    if (row && row.length + 1 + word.length > most) {
      rows.push(row);
      row = word;
    } else row = row ? `${row} ${word}` : word;
  }
  return row ? [...rows, row] : rows;
}

// For the column of a chart's table.
export const tableText = (annotations) => annotations.map((annotation) => `${annotation.text} (${subjectOf(annotation)})`).join("; ") || NO_DATA;

// " Annotations: deploy 1.4.", for the chart's description.
export function describeAnnotations(annotations, { from, to }) {
  const texts = annotations.filter(({ time }) => time >= from && time < to).map(({ text }) => text);
  if (!texts.length) return "";
  const rest = texts.length - MOST_IN_TOOLTIP;
  return ` Annotations: ${texts.slice(0, MOST_IN_TOOLTIP).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}.`;
}

export const annotationLines = {
  id: "annotationLines",
  afterDatasetsDraw(chart) {
    const { annotations = [], hasTags = true } = chart.overlays ?? {};
    if (!annotations.length) return;
    clipped(chart, (ctx, area) => {
      ctx.font = FONT;
      const { x: axis } = chart.scales;
      const lines = annotations
        .filter(({ time }) => time >= axis.min && time <= axis.max)
        .map(({ time, text }) => ({ x: Math.min(Math.floor(axis.getPixelForValue(time)), area.right - 1) + 0.5, tag: shortened(text) }));
      ctx.strokeStyle = withAlpha(colour("text"), 0.75);
      ctx.lineWidth = 1;
      ctx.beginPath();
      for (const { x } of lines) {
        ctx.moveTo(x, area.top);
        ctx.lineTo(x, area.bottom);
      }
      ctx.stroke();
      if (!hasTags || area.width < LEAST_AREA.width || area.height < LEAST_AREA.height) return;
      ctx.textAlign = "left";
      ctx.textBaseline = "middle";
      const top = topOfTags(labelHeights(chart), area);
      for (const { left, width, text } of tagsOf(lines, area, (tag) => ctx.measureText(tag).width + 2 * PADDING_PX)) {
        ctx.fillStyle = colour("line-soft");
        ctx.fillRect(left, top, width, TAG_PX);
        ctx.fillStyle = colour("text");
        ctx.fillText(text, left + PADDING_PX, top + TAG_PX / 2 + 0.5);
      }
    });
  },
};
