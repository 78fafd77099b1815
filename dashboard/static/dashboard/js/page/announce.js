// Messages for screen readers, in one polite live region: at most one in 15 seconds, and the newest of those that waited.

const INTERVAL_MS = 15_000;
let lastAt = -Infinity;
let timer = null;

export function announce(message) {
  clearTimeout(timer);
  const delay = Math.max(0, lastAt + INTERVAL_MS - performance.now());
  timer = setTimeout(() => {
    lastAt = performance.now();
    document.getElementById("announcer").textContent = message;
  }, delay);
}
