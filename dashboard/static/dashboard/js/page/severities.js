// The severities of alerts and their glyphs, the most severe first, as the server defines them.

import { embeddedJson } from "./dom.js";

export const GLYPHS = embeddedJson("page-settings").severities;
const ORDER = Object.keys(GLYPHS);

// The most severe alerts first, then the newest.
export const bySeverity = (a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity) || Date.parse(b.started_at) - Date.parse(a.started_at);
