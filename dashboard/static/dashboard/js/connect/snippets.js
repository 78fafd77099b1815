// The snippets: buttons that copy them, and one that makes a key and writes it into all of them.

import { makeKey } from "../page/api.js";
import { mountCopy } from "../page/copy.js";
import { find, findAll, setText } from "../page/dom.js";

export function mount(root) {
  for (const button of findAll("[data-copy]", root)) {
    mountCopy(button, find("code", button.parentElement), button.getAttribute("aria-label").replace("Copy: ", ""));
  }
  for (const form of findAll("[data-make-key]", root)) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      make(root);
    });
  }
}

async function make(root) {
  const buttons = findAll("[data-make-key] button", root);
  const show = (text) => findAll("[data-key-text]", root).forEach((node) => setText(node, text));
  for (const button of buttons) button.disabled = true;
  try {
    const { token } = await makeKey();
    for (const node of findAll("[data-key]", root)) setText(node, token);
    show("This key is shown only now, in all snippets. Copy it before you leave the page. It may only send events.");
    for (const button of buttons) button.hidden = true;
  } catch (problem) {
    show(`No key was made: ${problem.message}`);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}
