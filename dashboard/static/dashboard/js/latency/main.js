// The entry script of the Latency page.

import { startPage } from "../frame/start.js";
import * as latency from "../widgets/latency.js";
import * as phases from "../widgets/phases.js";
import * as sentence from "../widgets/sentence.js";
import { mountServerTable } from "../widgets/server-table.js";
import * as byModel from "./by-model.js";
import * as distribution from "./distribution.js";
import * as smallMultiples from "./small-multiples.js";
import { mountSplit } from "./split.js";

startPage({
  sentence: sentence.mount,
  latency: latency.mount,
  percentiles: mountServerTable,
  "by-model": smallMultiples.mount,
  histogram: distribution.mountHistogramCard,
  heatmap: distribution.mountHeatmapCard,
  "first-token": byModel.mountFirstToken,
  "per-token": byModel.mountPerToken,
  phases: phases.mount,
  split: mountSplit,
});
