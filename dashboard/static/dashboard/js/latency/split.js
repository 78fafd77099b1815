// The parts of each model's mean response time, as bars that the server renders with their widths in percent.

import { findAll } from "../page/dom.js";
import { mountServerTable } from "../widgets/server-table.js";

export const mountSplit = (root, page) => mountServerTable(root, page, {
  onDraw: () => {
    for (const part of findAll("[data-width]", root)) part.style.width = `${part.dataset.width}%`;
  },
});
