// The menu of a card.

import { disclosure } from "../page/disclosure.js";
import { element, find, setText } from "../page/dom.js";

// `items`: {label, onClick, when}, or null for a separator. Where what `onClick` returns is rejected, the card shows why,
// until the menu is opened again.
export function mountMenu(root, items) {
  const problem = element("p", { class: "form-problem", role: "alert", hidden: true });
  find(".card-head", root).after(problem);
  const panel = element("div", { class: "popover menu", role: "menu", hidden: true });
  root.append(panel);
  const menu = disclosure(find("[data-menu]", root), panel, {
    onOpen() {
      problem.hidden = true;
      panel.replaceChildren(...items.filter((item) => !item?.when || item.when()).map(menuItem));
      find("button", panel).focus();
    },
  });
  const menuItem = (item) => {
    if (item === null) return element("hr");
    const label = typeof item.label === "function" ? item.label() : item.label;
    const onClick = async () => {
      menu.close(true);
      try {
        await item.onClick();
      } catch (error) {
        setText(problem, `${label} failed: ${error.message}`);
        problem.hidden = false;
      }
    };
    return element("button", { type: "button", role: "menuitem", on: { click: onClick } }, label);
  };
  panel.addEventListener("keydown", (event) => {
    if (!["ArrowDown", "ArrowUp"].includes(event.key)) return;
    event.preventDefault();
    const buttons = [...panel.querySelectorAll("button")];
    const step = event.key === "ArrowDown" ? 1 : -1;
    buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length].focus();
  });
}
