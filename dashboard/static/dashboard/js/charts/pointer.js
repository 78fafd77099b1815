// Pointer and keys on a chart: the crosshair that all charts share, the zoom by drawing a rectangle, and moving by one
// bucket with the arrow keys.

import { element } from "../page/dom.js";

const MIN_DRAG_PX = 8;
const DIRECTIONS = { ArrowLeft: -1, ArrowRight: 1 };

// `onClick(chart, event)` returns whether it has handled a click, which otherwise pins the crosshair.
/** @param {HTMLCanvasElement} canvas
 *  @param {import("../live/page.js").Page} page
 *  @param {() => DrawnChart | null} chartOf
 *  @param {{ onClick?: (chart: DrawnChart, event: PointerEvent) => boolean }} [options] */
export function attachPointer(canvas, page, chartOf, { onClick } = {}) {
  const crosshair = element("div", { class: "crosshair", hidden: true });
  canvas.parentElement.append(crosshair);
  let drag = null;
  let dragged = false; // by the pointer that is up now

  const timeAt = (event) => {
    const chart = chartOf();
    const x = event.clientX - canvas.getBoundingClientRect().left;
    const { left, right } = chart.chartArea;
    return chart.scales.x.getValueForPixel(Math.min(right, Math.max(left, x)));
  };
  const hideTooltip = () => {
    const chart = chartOf();
    if (!chart?.tooltip?.getActiveElements().length) return;
    chart.tooltip.setActiveElements([], { x: 0, y: 0 });
    chart.setActiveElements([]);
    chart.draw();
  };
  // The start of the bucket whose point is nearest, which is also the one in the tooltip.
  const nearestBucket = (time) => Math.round(time / page.series.step) * page.series.step;

  page.topics.on("cursor", () => {
    const chart = chartOf();
    const { time, pinned } = page.cursor;
    const { left, right, top, height } = chart?.chartArea ?? {};
    const x = chart?.scales?.x && time !== null ? chart.scales.x.getPixelForValue(time) : null;
    const shown = x !== null && x >= left && x <= right;
    crosshair.hidden = !shown;
    if (!shown) return;
    crosshair.style.transform = `translate(${Math.round(x)}px, ${top}px)`;
    crosshair.style.height = `${height}px`;
    crosshair.classList.toggle("pinned", pinned);
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!chartOf()) return;
    if (drag) {
      const chart = chartOf();
      drag.x = Math.min(chart.chartArea.right, Math.max(chart.chartArea.left, event.clientX - canvas.getBoundingClientRect().left));
      if (Math.abs(drag.x - drag.startX) >= MIN_DRAG_PX) {
        // The rectangle has its times, so nothing else shows one.
        if (!drag.moved) page.setCursor(null, false);
        drag.moved = true;
        hideTooltip();
        chart.overlays.brush = { start: drag.startX, end: drag.x };
        chart.draw();
      }
      return;
    }
    if (!page.cursor.pinned) page.setCursor(nearestBucket(timeAt(event)));
  });
  canvas.addEventListener("pointerleave", () => {
    if (!page.cursor.pinned && !drag) page.setCursor(null);
  });
  canvas.addEventListener("pointerdown", (event) => {
    // A finger scrolls the page; a mouse or a pen draws a rectangle.
    if (event.button !== 0 || event.pointerType === "touch" || !chartOf()) return;
    const startX = event.clientX - canvas.getBoundingClientRect().left;
    drag = { startX, x: startX, start: timeAt(event), moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { moved, start } = drag;
    drag = null;
    dragged = moved;
    const chart = chartOf();
    chart.overlays.brush = null;
    chart.draw();
    if (moved) {
      hideTooltip();
      page.setCursor(null, false);
      const end = timeAt(event);
      page.showWindow(Math.min(start, end), Math.max(start, end));
    } else if (!onClick?.(chart, event) && event.detail <= 1) {
      page.setCursor(page.cursor.pinned ? null : nearestBucket(timeAt(event)), !page.cursor.pinned);
    }
  });
  // The click that ends a drag would open the tooltip of the chart.
  canvas.addEventListener("click", (event) => dragged && event.stopImmediatePropagation(), { capture: true });
  canvas.addEventListener("pointercancel", () => {
    drag = null;
    if (chartOf()) chartOf().overlays.brush = null;
  });
  // On a phone, the values of a chart that was touched are shown until something else is.
  document.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch" || event.target === canvas || !canvas.isConnected) return;
    hideTooltip();
  });
  canvas.addEventListener("dblclick", () => {
    page.setCursor(null, false);
    history.back();
  });
  canvas.addEventListener("keydown", (event) => {
    const { from, to } = page.window;
    const { step } = page.series;
    const newest = page.series.newest() ?? to;
    const current = page.cursor.time ?? newest;
    let next = null;
    if (event.key in DIRECTIONS) next = current + DIRECTIONS[event.key] * step;
    else if (event.key === "Home") next = nearestBucket(from) + step;
    else if (event.key === "End") next = newest;
    if (next === null) return;
    event.preventDefault();
    page.setCursor(Math.min(newest, Math.max(nearestBucket(from), next)), true);
    page.topics.emit("cursor-by-key", canvas);
  });
}
