// Run drawings when the browser is ready for them, so that many changes cost one drawing.

// Run `work` when the browser has nothing better to do.
export function whenIdle(work) {
  (window.requestIdleCallback ?? window.setTimeout)(() => work());
}

const waiting = new Set();
let asked = false;

// Run `draw` in the next frame, once. While the tab is hidden no frame comes, so nothing is drawn.
export function nextFrame(draw) {
  waiting.add(draw);
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    const now = [...waiting];
    waiting.clear();
    for (const one of now) {
      try {
        one();
      } catch (problem) {
        reportError(problem);
      }
    }
  });
}
