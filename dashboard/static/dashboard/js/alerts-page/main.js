// The entry script of the Alerts page.

import { startPage } from "../frame/start.js";
import * as alerting from "./alerting.js";
import * as browser from "./browser.js";
import * as cards from "./cards.js";
import * as rules from "./rules.js";
import * as sentence from "./sentence.js";
import * as silences from "./silences.js";
import * as timeline from "./timeline.js";

const WIDGETS = {
  sentence: sentence.mount,
  alerts: cards.mount,
  timeline: timeline.mount,
  rules: rules.mount,
  silences: silences.mount,
  alerting: alerting.mount,
  browser: browser.mount,
};

startPage(WIDGETS, { alwaysRefresh: true });
