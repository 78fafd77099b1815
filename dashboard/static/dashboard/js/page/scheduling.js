// Drawing when the browser is ready, so that several changes cost one drawing.

const waiting = new Set(); // work of a hidden tab

// Run `work` when the browser is idle; in a hidden tab, once it is shown again.
export function whenIdle(work) {
  if (document.hidden) {
    waiting.add(work);
    return;
  }
  (window.requestIdleCallback ?? window.setTimeout)(() => work());
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  const works = [...waiting];
  waiting.clear();
  works.forEach(whenIdle);
});

// A function that runs `work` after `ms`, once for all calls in between, and not again before it has ended.
export function collected(work, ms) {
  let calls = 0;
  let timer = null;
  const run = async () => {
    const before = calls;
    try {
      await work();
    } finally {
      timer = calls > before ? setTimeout(run, ms) : null;
    }
  };
  return () => {
    calls += 1;
    timer ??= setTimeout(run, ms);
  };
}

const pending = new Set();
let requested = false;

// A function that has `draw` run once in the next animation frame, for all calls until then.
export const perFrame = (draw) => () => nextFrame(draw);

// Run `draw` once in the next animation frame. A hidden tab gets no frames, so it draws nothing.
export function nextFrame(draw) {
  pending.add(draw);
  if (requested) return;
  requested = true;
  requestAnimationFrame(() => {
    requested = false;
    const drawings = [...pending];
    pending.clear();
    for (const drawing of drawings) {
      try {
        drawing();
      } catch (error) {
        reportError(error);
      }
    }
  });
}
