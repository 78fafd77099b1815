// The number of alerts that need attention in the title of the tab, and a dot on its icon.

import { find } from "../page/dom.js";
import { tabTitle } from "./messages.js";

export function mountTabTitle(page, alerts) {
  const title = document.title;
  const icon = find('link[rel="icon"]');
  const icons = { none: icon.href, warning: icon.dataset.warning, info: icon.dataset.warning, critical: icon.dataset.critical };
  page.topics.on("firing", () => {
    const { needingAttention } = alerts;
    document.title = tabTitle(needingAttention, title);
    const href = icons[needingAttention[0]?.severity ?? "none"];
    if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);
  });
}
