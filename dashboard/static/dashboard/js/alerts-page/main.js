// The entry script of the Alerts page.

import { startPage } from "../frame/start.js";
import * as browser from "../alerts/browser.js";
import * as cards from "../alerts/cards.js";
import * as rules from "../alerts/rules.js";
import * as sentence from "../alerts/sentence.js";
import * as silences from "../alerts/silences.js";
import * as timeline from "../alerts/timeline.js";

const WIDGETS = {
  sentence: sentence.mount,
  alerts: cards.mount,
  timeline: timeline.mount,
  rules: rules.mount,
  silences: silences.mount,
  browser: browser.mount,
};

startPage(WIDGETS, { alwaysRefresh: true });
