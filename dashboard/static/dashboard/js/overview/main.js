// The entry script of the Overview: reads the data in the page, mounts the header and the widgets, and connects.

import { forgetColours } from "../charts/palette.js";
import { LiveConnection } from "../live/connection.js";
import { Page } from "../live/page.js";
import { mountConnectionPill } from "../page/connection-pill.js";
import { embeddedJson, find } from "../page/dom.js";
import { mountFilters } from "../page/filters.js";
import { mountKeyboard } from "../page/keyboard.js";
import { mountNotices } from "../page/notices.js";
import { mountRange } from "../page/range.js";
import { mountTheme } from "../page/theme.js";
import * as heatmap from "../widgets/heatmap.js";
import * as latency from "../widgets/latency.js";
import * as machines from "../widgets/machines.js";
import * as models from "../widgets/models.js";
import * as phases from "../widgets/phases.js";
import * as queue from "../widgets/queue.js";
import * as requests from "../widgets/requests.js";
import * as hostCharts from "../widgets/cpu-memory-gpu.js";
import * as throughput from "../widgets/throughput.js";
import * as sentence from "./sentence.js";
import * as tiles from "./tiles.js";
import * as welcome from "./welcome.js";

const WIDGETS = {
  sentence: sentence.mount,
  tiles: tiles.mount,
  welcome: welcome.mount,
  machines: machines.mount,
  latency: latency.mount,
  phases: phases.mount,
  heatmap: heatmap.mount,
  requests: requests.mount,
  throughput: throughput.mount,
  queue: queue.mount,
  models: models.mount,
  cpu: hostCharts.mountCpu,
  memory: hostCharts.mountMemory,
  gpu: hostCharts.mountGpu,
};
const FONT_WEIGHTS = [450, 500, 560, 600, 640];
const FONT_TIMEOUT_MS = 1_500;

// Wait for the font, because a canvas draws text in another font while it is not loaded.
async function loadFonts() {
  const weights = FONT_WEIGHTS.map((weight) => document.fonts.load(`${weight} 12px Inter`));
  await Promise.race([Promise.allSettled(weights), new Promise((resolve) => setTimeout(resolve, FONT_TIMEOUT_MS))]);
}

async function start() {
  const page = new Page({
    data: embeddedJson("page-data"),
    settings: embeddedJson("page-settings"),
    catalogue: embeddedJson("catalogue"),
    tiles: embeddedJson("tile-specs"),
    specs: embeddedJson("series-specs"),
  });
  const connection = new LiveConnection(page);
  // These listeners come first, because the widgets need the new colours and the new layout.
  page.topics.on("theme", forgetColours);
  const showLayout = () => {
    document.body.classList.toggle("is-full", page.hasEvents);
    document.body.classList.toggle("is-empty", !page.hasEvents);
  };
  page.topics.on("data", showLayout);
  showLayout();
  mountTheme(page);
  mountRange(page);
  mountFilters(page);
  mountConnectionPill(page, connection);
  mountKeyboard(page);
  mountNotices(page, connection);
  await loadFonts();
  for (const [name, mount] of Object.entries(WIDGETS)) {
    const root = find(`[data-widget="${name}"]`);
    if (root) mount(root, page);
  }
  connection.start();
  page.startRefreshing();
  document.documentElement.dataset.ready = "true";
}

start();
