// The entry script of the Alerts page.

import { startPage } from "../frame/start.js";
import * as cards from "./cards.js";
import * as rules from "./rules.js";
import * as sentence from "./sentence.js";

startPage({ sentence: sentence.mount, alerts: cards.mount, rules: rules.mount }, { alwaysRefresh: true });
