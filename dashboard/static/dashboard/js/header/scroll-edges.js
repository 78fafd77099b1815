// What scrolls sideways in the header, the tabs and the time ranges: the chosen one is in the middle, and the edges fade where it
// continues.

import { find, findAll } from "../page/dom.js";

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
    const centre = () => {
      const chosen = find("[aria-current], [aria-pressed=true]", node)?.getBoundingClientRect();
      if (chosen) {
        const box = node.getBoundingClientRect();
        node.scrollLeft += chosen.left + chosen.width / 2 - box.left - box.width / 2;
      }
      update();
    };
    node.addEventListener("scroll", update, { passive: true });
    new ResizeObserver(centre).observe(node); // "Go live" beside the time ranges takes more room than "Pause"
    centre();
  }
}
