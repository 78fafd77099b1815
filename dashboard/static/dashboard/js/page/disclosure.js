// A button that opens a panel. The panel closes on Escape, on a click elsewhere, and when another panel opens.

let openPanel = null;

/** @param {HTMLElement} button
 *  @param {HTMLElement} panel
 *  @param {{ onOpen?: () => void }} [options] */
export function disclosure(button, panel, { onOpen } = {}) {
  const self = {
    get isOpen() {
      return !panel.hidden;
    },
    open() {
      if (openPanel && openPanel !== self) openPanel.close();
      openPanel = self;
      panel.hidden = false;
      button.setAttribute("aria-expanded", "true");
      onOpen?.();
    },
    close(focusButton = false) {
      if (panel.hidden) return;
      if (openPanel === self) openPanel = null;
      panel.hidden = true;
      button.setAttribute("aria-expanded", "false");
      if (focusButton) button.focus();
    },
    contains: (node) => panel.contains(node) || button.contains(node),
  };
  button.addEventListener("click", () => (self.isOpen ? self.close() : self.open()));
  return self;
}

// Close the open panel, if any. Returns whether there was one.
export function closeOpenPanel() {
  if (!openPanel) return false;
  openPanel.close(true);
  return true;
}

document.addEventListener("pointerdown", (event) => {
  if (openPanel && !openPanel.contains(event.target)) openPanel.close();
});
