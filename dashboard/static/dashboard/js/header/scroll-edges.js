// Fades at the edges of what scrolls sideways in the header, where it continues: the tabs and the time ranges.

import { findAll } from "../page/dom.js";

const LEAST_PX = 2; // hidden

// "start", "end", "start end", or "" where all is visible. Pure.
/** @param {{ scrollLeft: number, scrollWidth: number, clientWidth: number }} box */
export function hiddenEdges({ scrollLeft, scrollWidth, clientWidth }) {
  const edges = [scrollLeft >= LEAST_PX ? "start" : "", scrollWidth - clientWidth - scrollLeft >= LEAST_PX ? "end" : ""];
  return edges.filter(Boolean).join(" ");
}

export function mountScrollEdges() {
  for (const node of findAll(".tabs, .head-controls .segmented")) {
    const update = () => {
      node.dataset.continues = hiddenEdges(node);
    };
    node.addEventListener("scroll", update, { passive: true });
    new ResizeObserver(update).observe(node);
    update();
  }
}
