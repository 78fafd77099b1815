// What our charts draw beside Chart.js: bands without data, single points, labels at the ends of lines, the crosshair and
// the rectangle of a zoom. Each is a Chart.js plugin and reads what it needs from `chart.ours`.

import { colour, withAlpha } from "./palette.js";

const LABEL_GAP = 13;

function clipped(chart, draw) {
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
    const ours = chart.ours;
    if (!ours?.bands?.length) return;
    clipped(chart, (ctx, area) => {
      for (const { from, to, words, hatched } of ours.bands) {
        const left = chart.scales.x.getPixelForValue(from);
        const right = Math.min(area.right, chart.scales.x.getPixelForValue(to));
        if (right <= area.left || left >= area.right || right - left < 1) continue;
        ctx.fillStyle = colour("gap-band");
        ctx.fillRect(left, area.top, right - left, area.height);
        if (hatched) hatch(ctx, left, right, area);
        if (right - left >= 13 && words) {
          ctx.save();
          ctx.translate((Math.max(left, area.left) + right) / 2, (area.top + area.bottom) / 2);
          ctx.rotate(-Math.PI / 2);
          ctx.fillStyle = colour("muted");
          ctx.font = "500 10.5px Inter";
          ctx.textAlign = "center";
          ctx.textBaseline = "middle";
          ctx.fillText(words, 0, 0);
          ctx.restore();
        }
      }
    });
  },
};

function hatch(ctx, left, right, area) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, area.top, right - left, area.height);
  ctx.clip();
  ctx.strokeStyle = withAlpha(colour("muted"), 0.28);
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let x = left - area.height; x < right; x += 7) {
    ctx.moveTo(x, area.bottom);
    ctx.lineTo(x + area.height, area.top);
  }
  ctx.stroke();
  ctx.restore();
}

// A value between two gaps has no line: it is shown as a dot.
export const singles = {
  id: "singles",
  afterDatasetsDraw(chart) {
    const reach = (chart.ours?.step ?? 0) * 1.5;
    clipped(chart, (ctx) => {
      chart.data.datasets.forEach((dataset, number) => {
        const meta = chart.getDatasetMeta(number);
        if (meta.type !== "line" || meta.hidden) return;
        const { data } = dataset;
        ctx.fillStyle = dataset.borderColor;
        for (let index = 0; index < data.length; index += 1) {
          if (data[index].y === null || !meta.data[index]) continue;
          const before = data[index - 1];
          const after = data[index + 1];
          const joined = (other) => other && other.y !== null && Math.abs(other.x - data[index].x) <= reach;
          if (joined(before) || joined(after)) continue;
          ctx.beginPath();
          ctx.arc(meta.data[index].x, meta.data[index].y, 1.7, 0, 2 * Math.PI);
          ctx.fill();
        }
      });
    });
  },
};

// The name of a line at its end, in place of a legend. Labels that would lie on each other are moved apart.
export const endLabels = {
  id: "endLabels",
  afterDatasetsDraw(chart) {
    if (!chart.ours?.endLabels) return;
    const { ctx, chartArea } = chart;
    const labels = [];
    chart.data.datasets.forEach((dataset, number) => {
      const { data } = dataset;
      let index = data.length - 1;
      while (index >= 0 && data[index].y === null) index -= 1;
      const point = chart.getDatasetMeta(number).data[index];
      if (index < 0 || !point || !Number.isFinite(point.y)) return;
      labels.push({ words: dataset.label, colour: dataset.borderColor, y: Math.min(chartArea.bottom - 4, Math.max(chartArea.top + 5, point.y)) });
    });
    labels.sort((one, other) => one.y - other.y);
    for (let index = 1; index < labels.length; index += 1) {
      labels[index].y = Math.max(labels[index].y, labels[index - 1].y + LABEL_GAP);
    }
    const over = labels.length ? labels.at(-1).y - (chartArea.bottom - 4) : 0;
    if (over > 0) {
      labels.at(-1).y -= over;
      for (let index = labels.length - 2; index >= 0; index -= 1) {
        labels[index].y = Math.min(labels[index].y, labels[index + 1].y - LABEL_GAP);
      }
    }
    ctx.save();
    ctx.font = "600 11.5px Inter";
    ctx.textBaseline = "middle";
    for (const label of labels) {
      ctx.fillStyle = colour("series-1");
      ctx.fillText(label.words, chartArea.right + 7, label.y);
    }
    ctx.restore();
  },
};

// The rectangle that is being drawn with the pointer.
export const brush = {
  id: "brush",
  afterDraw(chart) {
    const ours = chart.ours;
    if (!ours?.brush) return;
    clipped(chart, (ctx, area) => {
      const left = Math.min(ours.brush.start, ours.brush.end);
      const width = Math.abs(ours.brush.end - ours.brush.start);
      ctx.fillStyle = withAlpha(colour("accent"), 0.14);
      ctx.fillRect(left, area.top, width, area.height);
      ctx.strokeStyle = colour("accent");
      ctx.strokeRect(left + 0.5, area.top - 1, width, area.height + 2);
    });
  },
};
