// A button that copies a text.

import { announce } from "./announce.js";
import { setText } from "./dom.js";

const COPIED_MS = 2_500;

// `node`: has the text. `name`: of the text, for screen readers.
export function mountCopy(button, node, name) {
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(node.textContent);
      showCopied();
    } catch {
      // Browsers offer no clipboard over plain HTTP from another machine. If the older way fails, too, the text is
      // selected, so that the user can copy it.
      if (copySelected(node)) showCopied();
      else setText(button, "Press Ctrl+C");
    }
    setTimeout(() => setText(button, "Copy"), COPIED_MS);
  });
  const showCopied = () => {
    setText(button, "Copied ✓");
    announce(`${name} copied`);
  };
}

function copySelected(node) {
  getSelection().selectAllChildren(node);
  // The text of the selection would have other line breaks.
  const give = (event) => {
    event.clipboardData.setData("text/plain", node.textContent);
    event.preventDefault();
  };
  document.addEventListener("copy", give);
  const isCopied = document.execCommand("copy");
  document.removeEventListener("copy", give);
  return isCopied;
}
