// The theme: auto, light or dark. It is stored in a cookie, so that the server renders it and the page does not flash.

import { find } from "../page/dom.js";

const THEMES = ["auto", "light", "dark"];
const YEAR_SECONDS = 31_536_000;

export function mountTheme(page) {
  const button = find("#theme");
  const root = document.documentElement;
  button.addEventListener("click", () => {
    const theme = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
    root.dataset.theme = theme;
    button.title = `Theme: ${theme}`;
    button.setAttribute("aria-label", `Theme: ${theme}. Change the theme`);
    find('meta[name="color-scheme"]').content = theme === "auto" ? "light dark" : theme;
    document.cookie = `llmmonitor_theme=${theme}; path=${document.body.dataset.homeUrl}; max-age=${YEAR_SECONDS}; samesite=lax`;
    page.topics.emit("theme");
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => page.topics.emit("theme"));
}
