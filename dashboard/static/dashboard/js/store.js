// Publish and subscribe, and one drawing for each frame of the browser however many things changed.

export class Topics {
  #listeners = new Map();

  // Answers the function that takes the listener off again.
  on(topic, listener) {
    if (!this.#listeners.has(topic)) this.#listeners.set(topic, new Set());
    this.#listeners.get(topic).add(listener);
    return () => this.#listeners.get(topic).delete(listener);
  }

  emit(topic, value) {
    for (const listener of this.#listeners.get(topic) ?? []) {
      try {
        listener(value);
      } catch (problem) {
        // One widget that fails must not take the others with it.
        reportError(problem);
      }
    }
  }
}

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
