// Where a chart has the labels of alerts, which other labels do not cover.

const ROW_PX = 15;

// Where the labels are: {rows: [{threshold, y, isAbove}], spans} with the middles of those of thresholds and that of all spans.
// `pixelOf`: the height of a value.
export function placeLabels({ thresholds = [] }, area, pixelOf) {
  let edge = area.top + 8; // the upper edge has the labels of thresholds above it, then those of spans
  const rows = thresholds.flatMap((threshold) => {
    const y = pixelOf(threshold.value);
    const isAbove = y < area.top;
    if (!(y <= area.bottom)) return [];
    const inside = y - 8 > area.top + 8 + ROW_PX ? y - 8 : y + 9;
    const row = { threshold, y: isAbove ? edge : inside, isAbove };
    if (isAbove) edge += ROW_PX;
    return [row];
  });
  return { rows, spans: edge };
}

// The middles of all labels of a chart.
export function labelHeights(chart) {
  const alerts = chart.overlays?.alerts ?? {};
  const { rows, spans } = placeLabels(alerts, chart.chartArea, (value) => chart.scales.y.getPixelForValue(value));
  return [...rows.map(({ y }) => y), ...(alerts.spans?.length ? [spans] : [])];
}
