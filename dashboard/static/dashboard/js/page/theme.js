// auto → light → dark, kept in a cookie so that the server renders the right one and nothing flashes.

import { find } from "./dom.js";

const ORDER = ["auto", "light", "dark"];
const YEAR_SECONDS = 31_536_000;

export function mountTheme(page) {
  const button = find("#theme");
  const root = document.documentElement;
  button.addEventListener("click", () => {
    const next = ORDER[(ORDER.indexOf(root.dataset.theme) + 1) % ORDER.length];
    root.dataset.theme = next;
    button.dataset.themeNow = next;
    button.title = `Theme: ${next}`;
    button.setAttribute("aria-label", `Theme: ${next}. Change the theme`);
    find('meta[name="color-scheme"]').content = next === "auto" ? "light dark" : next;
    document.cookie = `llmmonitor_theme=${next}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
    page.topics.emit("theme");
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => page.topics.emit("theme"));
}
