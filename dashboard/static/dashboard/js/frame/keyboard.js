// Keyboard shortcuts. They are off inside inputs and while a dialog is open.

import { replaceAddress } from "../page/address.js";
import { closeOpenPanel } from "../page/disclosure.js";
import { find, findAll } from "../page/dom.js";

export function mountKeyboard(page) {
  const help = find("#help-dialog");
  find("#help").addEventListener("click", () => help.showModal());
  const shortcuts = {
    "?": () => help.showModal(),
    m: () => page.topics.emit("mute"),
    t: () => page.topics.emit("go-to-toasts"),
    w: toggleKiosk,
    ...(find(".head-controls") ? ofRangeAndCharts(page) : {}),
  };
  const goesTo = pageKeys(findAll(".tab[data-key]"));
  let isGoing = false; // whether the key before was G
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (find("dialog[open]")) {
      // An open menu in the dialog closes first, the dialog with the next Escape.
      if (event.key === "Escape" && closeOpenPanel()) event.preventDefault();
      return;
    }
    if (event.key === "Escape") {
      if (!closeOpenPanel()) page.setCursor(null, false);
      return;
    }
    if (event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const tab = isGoing ? goesTo[key] : undefined;
    isGoing = key === "g" && !isGoing;
    const shortcut = tab ? () => tab.click() : shortcuts[key];
    if (!shortcut) return;
    event.preventDefault();
    shortcut();
  });
  // A click outside of a dialog closes it.
  for (const dialog of findAll("dialog")) {
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
}

// The tab of each page by the letter of its key.
const pageKeys = (tabs) => Object.fromEntries(tabs.map((tab) => [tab.dataset.key, tab]));

// Wall mode, which the server reads from the address as well.
function toggleKiosk() {
  const isOn = document.documentElement.classList.toggle("kiosk");
  replaceAddress({ set: { kiosk: isOn ? "1" : null } });
}

function ofRangeAndCharts(page) {
  const focusedCard = () => document.activeElement?.closest("[data-widget]");
  /** @returns {HTMLElement | null | undefined} */
  const focusedMenu = () => focusedCard()?.querySelector("[data-menu]");
  const shortcuts = {
    l: () => (page.live ? page.pauseNow() : page.resume()),
    "[": () => page.pan(-1),
    "]": () => !page.live && page.pan(1),
    "-": () => page.zoom(2),
    "=": () => page.zoom(0.5),
    "+": () => page.zoom(0.5),
    c: () => document.getElementById("compare")?.click(),
    "/": () => find('[data-filter="model"] button').click(),
    e: () => focusedMenu()?.click(),
    f: () => focusedCard()?.dispatchEvent(new Event("card-enlarge")),
  };
  page.settings.ranges.forEach((range, index) => {
    shortcuts[index + 1] = () => page.navigate({ range: range.name });
  });
  return shortcuts;
}
