// Which columns of the list are shown. This browser remembers them.

import { disclosure } from "../page/disclosure.js";
import { find, findAll } from "../page/dom.js";
import { recall, remember } from "../page/storage.js";

const KEY = "llmmonitor.requests.columns";

export function mountColumns(root) {
  const menu = find("#columns-menu", root);
  const boxes = findAll("input", menu);
  const known = boxes.map(({ value }) => value);
  const remembered = recall(KEY);
  if (Array.isArray(remembered)) for (const box of boxes) box.checked = remembered.includes(box.value);
  disclosure(find("#columns", root), menu);
  const shown = () => boxes.filter(({ checked }) => checked).map(({ value }) => value);
  const apply = () => {
    const chosen = shown();
    for (const name of known) root.classList.toggle(`without-${name}`, !chosen.includes(name));
  };
  menu.addEventListener("change", () => {
    remember(KEY, shown());
    apply();
  });
  return { apply };
}
