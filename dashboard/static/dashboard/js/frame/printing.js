// Printing: the charts are drawn once more, in the light colours, as wide as the paper and with twice its pixels.

import { setText } from "../page/dom.js";
import { captionOf } from "../page/caption.js";

const PIXELS = 2;

export function mountPrinting(page) {
  const root = document.documentElement;
  const { defaults } = window.Chart;
  let shown = null; // the theme and the pixels on the screen
  const switchTo = (theme, pixels) => {
    root.dataset.theme = theme;
    defaults.devicePixelRatio = pixels;
    page.topics.emit("theme");
    page.topics.emit("print");
  };
  window.addEventListener("beforeprint", () => {
    if (shown) return;
    shown = { theme: root.dataset.theme, pixels: defaults.devicePixelRatio };
    root.classList.add("printing");
    switchTo("light", PIXELS);
  });
  window.addEventListener("afterprint", () => {
    if (!shown) return;
    root.classList.remove("printing");
    switchTo(shown.theme, shown.pixels);
    shown = null;
  });
}

// Keep the caption of the page that paper and wall mode show.
export function mountCaption(page) {
  const draw = () => setText(document.getElementById("page-caption"), captionOf(page));
  for (const topic of ["data", "figures", "second", "pause"]) page.topics.on(topic, draw);
  draw();
}
