// A button that copies a text.

import { announce } from "./announce.js";
import { setText } from "./dom.js";

const COPIED_MS = 2_500;

// `node`: has the text. `name`: of the text, for screen readers.
export function mountCopy(button, node, name) {
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(node.textContent);
      setText(button, "Copied ✓");
      announce(`${name} copied`);
    } catch {
      // Browsers offer no clipboard over plain HTTP from another machine: select the text, so that the user can copy it.
      getSelection().selectAllChildren(node);
      setText(button, "Press Ctrl+C");
    }
    setTimeout(() => setText(button, "Copy"), COPIED_MS);
  });
}
