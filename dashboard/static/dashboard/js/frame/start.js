// The start of a page: reads the data in it, mounts the header and the widgets, and connects.

import { mountAlerting } from "../alerting/mount.js";
import { forgetColours, setColourOrder } from "../charts/palette.js";
import { mountAnnotations } from "../header/annotations.js";
import { mountCompare } from "../header/compare.js";
import { mountConnectionPill } from "../header/connection-pill.js";
import { mountFilters } from "../header/filters.js";
import { mountNotices } from "../header/notices.js";
import { mountRange } from "../header/range.js";
import { mountScrollEdges } from "../header/scroll-edges.js";
import { mountTheme } from "../header/theme.js";
import { LiveConnection } from "../live/connection.js";
import { Page } from "../live/page.js";
import { embeddedJson, find } from "../page/dom.js";
import { mountDemoOffers } from "./demo-offer.js";
import { mountKeyboard } from "./keyboard.js";
import { mountViewLinks } from "../page/view-query.js";
import { mountCaption, mountPrinting } from "./printing.js";

const FONT_WEIGHTS = [450, 500, 560, 600, 640];
const FONT_TIMEOUT_MS = 1_500;

// Wait for the font, because a canvas draws text in another font while it is not loaded.
async function loadFonts() {
  const weights = FONT_WEIGHTS.map((weight) => document.fonts.load(`${weight} 12px Inter`));
  await Promise.race([Promise.allSettled(weights), new Promise((resolve) => setTimeout(resolve, FONT_TIMEOUT_MS))]);
}

// `widgets`: name → mount(root, page), for the elements with `data-widget`. `options`: further ones of the Page.
export async function startPage(widgets, options = {}) {
  const page = new Page({
    data: embeddedJson("page-data"),
    settings: embeddedJson("page-settings"),
    catalogue: embeddedJson("catalogue"),
    specs: embeddedJson("series-specs"),
    tiles: document.getElementById("tile-specs") ? embeddedJson("tile-specs") : [],
    ...options,
  });
  setColourOrder(page.settings.colour_order);
  const connection = new LiveConnection(page);
  // These listeners come first, because the widgets need the new colours and the new layout.
  page.topics.on("theme", forgetColours);
  const showLayout = () => {
    document.body.classList.toggle("is-full", page.hasEvents);
    document.body.classList.toggle("is-empty", !page.hasEvents);
  };
  page.topics.on("data", showLayout);
  showLayout();
  mountScrollEdges();
  mountTheme(page);
  if (find(".head-controls")) {
    mountRange(page);
    mountCompare(page);
    mountFilters(page);
    mountAnnotations(page);
    mountCaption(page);
    mountViewLinks(page);
  }
  mountConnectionPill(page, connection);
  mountKeyboard(page);
  mountNotices(page, connection);
  mountDemoOffers(page);
  mountAlerting(page);
  await loadFonts();
  for (const [name, mount] of Object.entries(widgets)) {
    const root = find(`[data-widget="${name}"]`);
    if (root) mount(root, page);
  }
  mountPrinting(page);
  connection.start();
  page.startRefreshing();
  document.documentElement.dataset.ready = "true";
}
