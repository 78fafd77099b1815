// Output tokens per second, by model.

import { tokenRates } from "../charts/rates.js";
import { mountSumByModel } from "../widgets/by-model.js";

export function mount(root, page) {
  mountSumByModel(root, page, {
    metric: ["inference.completion_tokens", "rate"],
    current: [(minute) => minute.tokens_per_second, "tokens_per_second"],
    help: "Output tokens per second of all requests together, by model. The speed of a single request is the generation speed in the table of models.",
    ...tokenRates,
    spansOf: ["inference.completion_tokens", "inference.tokens_per_second"],
    emptyText: "No tokens reported in this time range",
  });
}
