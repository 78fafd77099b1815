// Keys, off inside inputs and while a dialog is open.

import { closeOpen } from "./disclosure.js";
import { find } from "./dom.js";

export function mountKeyboard(page) {
  const help = find("#help-dialog");
  find("#help").addEventListener("click", () => help.showModal());
  const focusedCard = () => document.activeElement?.closest?.("[data-widget]");
  const keys = {
    "?": () => help.showModal(),
    l: () => (page.live ? page.pause() : page.resume()),
    "[": () => page.pan(-1),
    "]": () => !page.live && page.pan(1),
    "-": () => page.zoom(2),
    "=": () => page.zoom(0.5),
    "+": () => page.zoom(0.5),
    "/": () => find('[data-filter="model"] button').click(),
    e: () => find("[data-menu]", focusedCard() ?? document.createElement("i"))?.click(),
    f: () => focusedCard()?.dispatchEvent(new Event("frame-expand")),
    Escape: () => closeOpen() || page.setCursor(null, false),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      keys.Escape();
      return;
    }
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    const range = page.settings.ranges[Number(event.key) - 1];
    const act = range ? () => page.go({ range: range.name }) : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  // A click beside a dialog closes it.
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
}
