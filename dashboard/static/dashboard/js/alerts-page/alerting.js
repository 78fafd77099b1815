// How the alerting itself is doing. The server writes the lines.

import { adminUrl } from "../page/api.js";
import { element, find, setText } from "../page/dom.js";
import { glyph } from "../alerts/words.js";

export function mount(root, page) {
  const draw = () => {
    const { rules, messages, channels, count, problems, omitted } = page.data.alerting;
    setText(find("[data-values]", root), count === 0 ? "no problem" : `${count} problem${count === 1 ? "" : "s"}`);
    setText(find("[data-rules]", root), rules);
    find("[data-messages]", root).replaceChildren(messages, ...(page.data.can.includes("manage") ? [" · ", channelsLink(channels)] : []));
    const list = find("[data-problems]", root);
    list.hidden = count === 0;
    list.replaceChildren(...problems.map((problem) => element("li", {}, glyph("firing", "warning"), element("span", {}, problem))));
    if (omitted) list.append(element("li", { class: "muted" }, `${omitted} more`));
  };
  for (const topic of ["data", "figures"]) page.topics.on(topic, draw);
  draw();
}

const channelsLink = (channels) =>
  element("a", { href: adminUrl(channels ? "alerts/delivery/" : "alerts/channel/add/") }, channels ? "messages" : "add a channel");
