// The choice of what is connected. All panels are in the page, so that a choice loads nothing and keeps a key that was made.

import { announce } from "../page/announce.js";
import { find, findAll } from "../page/dom.js";

export function mount(root) {
  const kinds = findAll("[data-kind]", root);
  for (const kind of kinds) {
    kind.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // in another tab
      event.preventDefault();
      for (const other of kinds) {
        other.toggleAttribute("aria-current", false);
        find(`#panel-${other.dataset.kind}`).hidden = other !== kind;
      }
      kind.setAttribute("aria-current", "true");
      history.replaceState({}, "", kind.getAttribute("href"));
      announce(`Snippets for ${find("b", kind).textContent}`);
    });
  }
}
