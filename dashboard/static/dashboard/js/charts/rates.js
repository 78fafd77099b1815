// How charts of rates show their values: parts of the specification of a chart, see time-chart.js.

import { requestRate, tokenRate } from "../page/format.js";
import { rateLabel } from "./axis-labels.js";

export const requestRates = { format: requestRate, formatTick: rateLabel, isRate: true };
export const tokenRates = { format: tokenRate, formatTick: rateLabel, isRate: true };
