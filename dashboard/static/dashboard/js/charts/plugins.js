// Chart.js plugins: bands for gaps in the data, dots for single points, labels at the ends of lines, and the rectangle of a
// zoom. They read what to draw from `chart.overlays`: {bands, step, endLabels, brush}.

import { moment } from "../page/format.js";
import { colour, withAlpha } from "./palette.js";

const DAY_MS = 86_400_000;
const LABEL_GAP = 13;

export function clipped(chart, draw) {
  const { ctx, chartArea } = chart;
  ctx.save();
  ctx.beginPath();
  ctx.rect(chartArea.left, chartArea.top, chartArea.width, chartArea.height);
  ctx.clip();
  draw(ctx, chartArea);
  ctx.restore();
}

export const bands = {
  id: "bands",
  beforeDatasetsDraw(chart) {
    const drawn = chart.overlays?.bands ?? [];
    if (!drawn.length) return;
    clipped(chart, (ctx, area) => {
      for (const { from, to, label, hatched } of drawn) {
        const left = chart.scales.x.getPixelForValue(from);
        const right = Math.min(area.right, chart.scales.x.getPixelForValue(to));
        if (right <= area.left || left >= area.right || right - left < 1) continue;
        ctx.fillStyle = colour("gap-band");
        ctx.fillRect(left, area.top, right - left, area.height);
        if (hatched) drawHatching(ctx, left, right, area, withAlpha(colour("muted"), 0.28));
        if (right - left >= 13) {
          ctx.save();
          ctx.translate((Math.max(left, area.left) + right) / 2, (area.top + area.bottom) / 2);
          ctx.rotate(-Math.PI / 2);
          ctx.fillStyle = colour("muted");
          ctx.font = "500 10.5px Inter";
          ctx.textAlign = "center";
          ctx.textBaseline = "middle";
          ctx.fillText(label, 0, 0);
          ctx.restore();
        }
      }
    });
  },
};

export function drawHatching(ctx, left, right, area, stroke) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, area.top, right - left, area.height);
  ctx.clip();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let x = left - area.height; x < right; x += 7) {
    ctx.moveTo(x, area.bottom);
    ctx.lineTo(x + area.height, area.top);
  }
  ctx.stroke();
  ctx.restore();
}

// A dot for a value between two gaps, which has no line.
export const singlePoints = {
  id: "singlePoints",
  afterDatasetsDraw(chart) {
    clipped(chart, (ctx) => {
      chart.data.datasets.forEach((dataset, number) => {
        const meta = chart.getDatasetMeta(number);
        if (meta.type !== "line" || meta.hidden) return;
        const { data, spanGaps: maxDistance } = dataset;
        ctx.fillStyle = dataset.borderColor;
        for (let index = 0; index < data.length; index += 1) {
          if (data[index].y === null || !meta.data[index]) continue;
          const isJoined = (other) => other && other.y !== null && Math.abs(other.x - data[index].x) <= maxDistance;
          if (isJoined(data[index - 1]) || isJoined(data[index + 1])) continue;
          ctx.beginPath();
          ctx.arc(meta.data[index].x, meta.data[index].y, 1.7, 0, 2 * Math.PI);
          ctx.fill();
        }
      });
    });
  },
};

// The name of each line at its end, instead of a legend. Labels that would overlap are moved apart.
export const endLabels = {
  id: "endLabels",
  afterDatasetsDraw(chart) {
    if (!chart.overlays?.endLabels) return;
    const { ctx, chartArea } = chart;
    const labels = [];
    chart.data.datasets.forEach((dataset, number) => {
      const { data } = dataset;
      let index = data.length - 1;
      while (index >= 0 && data[index].y === null) index -= 1;
      const point = chart.getDatasetMeta(number).data[index];
      if (index < 0 || !point || !Number.isFinite(point.y)) return;
      const y = Math.min(chartArea.bottom - 4, Math.max(chartArea.top + 5, point.y));
      labels.push({ text: dataset.label, colour: dataset.labelColour, y });
    });
    labels.sort((a, b) => a.y - b.y);
    for (let index = 1; index < labels.length; index += 1) {
      labels[index].y = Math.max(labels[index].y, labels[index - 1].y + LABEL_GAP);
    }
    const overflow = labels.length ? labels.at(-1).y - (chartArea.bottom - 4) : 0;
    if (overflow > 0) {
      labels.at(-1).y -= overflow;
      for (let index = labels.length - 2; index >= 0; index -= 1) {
        labels[index].y = Math.min(labels[index].y, labels[index + 1].y - LABEL_GAP);
      }
    }
    ctx.save();
    ctx.font = "600 11.5px Inter";
    ctx.textBaseline = "middle";
    for (const label of labels) {
      ctx.fillStyle = label.colour;
      ctx.fillText(label.text, chartArea.right + 7, label.y);
    }
    ctx.restore();
  },
};

// The rectangle of a zoom while the pointer draws it, with its times. There is no tooltip meanwhile.
export const brush = {
  id: "brush",
  beforeEvent: (chart) => !chart.overlays?.brush,
  afterDraw(chart) {
    if (!chart.overlays?.brush) return;
    const { start, end } = chart.overlays.brush;
    clipped(chart, (ctx, area) => {
      const left = Math.min(start, end);
      const width = Math.abs(end - start);
      ctx.fillStyle = withAlpha(colour("accent"), 0.14);
      ctx.fillRect(left, area.top, width, area.height);
      ctx.strokeStyle = colour("accent");
      ctx.strokeRect(left + 0.5, area.top - 1, width, area.height + 2);
      const { x } = chart.scales;
      const [from, to] = [left, left + width].map((pixel) => moment(x.getValueForPixel(pixel), x.max - x.min > DAY_MS));
      const text = `${from} – ${to}`;
      ctx.font = "560 11.5px Inter";
      ctx.textAlign = "center";
      ctx.textBaseline = "top";
      ctx.fillStyle = colour("text");
      const half = ctx.measureText(text).width / 2 + 4;
      ctx.fillText(text, Math.min(area.right - half, Math.max(area.left + half, left + width / 2)), area.top + 4);
    });
  },
};
