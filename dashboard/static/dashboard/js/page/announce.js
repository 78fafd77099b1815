// One polite live region, with at most one message in 15 seconds: the newest of those that waited.

const EVERY_MS = 15_000;
let lastAt = -Infinity;
let timer = null;

export function announce(message) {
  clearTimeout(timer);
  const wait = Math.max(0, lastAt + EVERY_MS - performance.now());
  timer = setTimeout(() => {
    lastAt = performance.now();
    document.getElementById("announcer").textContent = message;
  }, wait);
}
