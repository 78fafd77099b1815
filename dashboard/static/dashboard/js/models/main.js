// The entry script of the Models page and of the page of one model.

import { startPage } from "../frame/start.js";
import * as sentence from "../widgets/sentence.js";
import * as opened from "./opened.js";
import * as table from "./table.js";

startPage({ sentence: sentence.mount, models: table.mount, opened: opened.mount });
