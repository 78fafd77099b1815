// The entry script of the Connect page.

import { startPage } from "../frame/start.js";
import * as arrival from "./arrival.js";
import * as kinds from "./kinds.js";
import * as snippets from "./snippets.js";
import * as sources from "./sources.js";

const WIDGETS = { kinds: kinds.mount, snippets: snippets.mount, arrival: arrival.mount, sources: sources.mount };

startPage(WIDGETS, { alwaysRefresh: true });
