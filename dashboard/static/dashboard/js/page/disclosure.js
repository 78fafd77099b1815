// A button that opens something beside it: closes on Escape, on a click elsewhere, and when another one opens.

let openNow = null;

export function disclosure(button, panel, { onOpen, onClose } = {}) {
  const self = {
    get isOpen() {
      return !panel.hidden;
    },
    open() {
      if (openNow && openNow !== self) openNow.close();
      openNow = self;
      panel.hidden = false;
      button.setAttribute("aria-expanded", "true");
      onOpen?.();
    },
    close(focusBack = false) {
      if (panel.hidden) return;
      if (openNow === self) openNow = null;
      panel.hidden = true;
      button.setAttribute("aria-expanded", "false");
      if (focusBack) button.focus();
      onClose?.();
    },
    holds: (node) => panel.contains(node) || button.contains(node),
  };
  button.addEventListener("click", () => (self.isOpen ? self.close() : self.open()));
  return self;
}

// Answers whether there was something to close.
export function closeOpen() {
  if (!openNow) return false;
  openNow.close(true);
  return true;
}

document.addEventListener("pointerdown", (event) => {
  if (openNow && !openNow.holds(event.target)) openNow.close();
});
