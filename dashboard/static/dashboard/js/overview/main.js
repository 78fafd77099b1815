// The Overview's entry: reads what the server put into the page, mounts what it finds, and begins to listen.

import { forgetColours } from "../charts/palette.js";
import { Live } from "../live/connection.js";
import { Page } from "../live/page.js";
import { mountConnection } from "../page/connection-pill.js";
import { find, jsonOf } from "../page/dom.js";
import { mountFilters } from "../page/filters.js";
import { mountKeyboard } from "../page/keyboard.js";
import * as notices from "../page/notices.js";
import { mountRange } from "../page/range.js";
import { mountTheme } from "../page/theme.js";
import * as heatmap from "../widgets/heatmap.js";
import * as latency from "../widgets/latency.js";
import * as machines from "../widgets/machines.js";
import * as models from "../widgets/models.js";
import * as phases from "../widgets/phases.js";
import * as queue from "../widgets/queue.js";
import * as requests from "../widgets/requests.js";
import * as system from "../widgets/system.js";
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
  cpu: system.mountCpu,
  memory: system.mountMemory,
  gpu: system.mountGpu,
};

// Canvas text falls back to another face when the font is not there yet.
async function fonts() {
  const weights = [450, 500, 560, 600, 640].map((weight) => document.fonts.load(`${weight} 12px Inter`));
  await Promise.race([Promise.allSettled(weights), new Promise((done) => setTimeout(done, 1_500))]);
}

async function start() {
  const page = new Page({
    data: jsonOf("page-data"),
    settings: jsonOf("page-settings"),
    catalogue: jsonOf("catalogue"),
    tiles: jsonOf("tile-specs"),
  });
  const live = new Live(page, jsonOf("series-specs"));
  // First of those who listen: the others draw with the new colours, and after the page has its new shape.
  page.topics.on("theme", forgetColours);
  const shape = () => {
    document.body.classList.toggle("is-full", page.hasEvents);
    document.body.classList.toggle("is-empty", !page.hasEvents);
  };
  page.topics.on("data", shape);
  shape();
  mountTheme(page);
  mountRange(page);
  mountFilters(page);
  mountConnection(page, live);
  mountKeyboard(page);
  notices.mount(page, live);
  await fonts();
  for (const [name, mount] of Object.entries(WIDGETS)) {
    const root = find(`[data-widget="${name}"]`);
    if (root) mount(root, page);
  }
  live.start();
  page.keepFresh();
  document.documentElement.dataset.ready = "true";
}

start();
