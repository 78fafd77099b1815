// The bell in the header: the number of alerts that need attention, red if one of them is critical. It opens the panel below it.

import { disclosure } from "../page/disclosure.js";
import { find, setText } from "../page/dom.js";
import { countText, summary } from "./messages.js";

export function mountBell(page, alerts) {
  const bell = find("#bell");
  const panel = disclosure(bell, find("#bell-panel"));
  const draw = () => {
    const { needingAttention, all } = alerts;
    const number = needingAttention.length;
    bell.dataset.state = needingAttention[0]?.severity ?? "";
    const count = find(".bell-count", bell);
    count.hidden = !number;
    setText(count, countText(number));
    const text = summary(number, all.length);
    bell.setAttribute("aria-label", `Alerts: ${text}`);
    setText(find("#bell-summary"), text);
  };
  page.topics.on("firing", draw);
  find("#sound-blocked").addEventListener("click", () => panel.open());
  draw();
}
