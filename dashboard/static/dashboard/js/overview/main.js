// The entry script of the Overview.

import { startPage } from "../frame/start.js";
import * as latency from "../widgets/latency.js";
import * as phases from "../widgets/phases.js";
import * as queue from "../widgets/queue.js";
import * as requests from "../widgets/requests.js";
import * as sentence from "../widgets/sentence.js";
import * as tiles from "../widgets/tiles.js";
import * as hostCharts from "./cpu-memory-gpu.js";
import * as firingAlerts from "./firing-alerts.js";
import * as machines from "./machines.js";
import * as models from "./models.js";
import * as heatmap from "./response-heatmap.js";
import * as throughput from "./throughput.js";
import * as welcome from "./welcome.js";

const WIDGETS = {
  sentence: sentence.mount,
  tiles: tiles.mount,
  welcome: welcome.mount,
  "firing-alerts": firingAlerts.mount,
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

startPage(WIDGETS);
