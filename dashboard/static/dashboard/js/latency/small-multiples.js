// The response times of the busiest models: a small chart of each, all with the same axis.

import { durationLabel } from "../charts/axis-labels.js";
import { linesByGroup } from "../charts/lines.js";
import { marksOfModel } from "../charts/marks-of-model.js";
import { logLimits } from "../charts/options.js";
import { slotOf } from "../charts/palette.js";
import { pageWith } from "../live/page-with.js";
import { modelPageUrl } from "../page/api.js";
import { element, find, findAll, setText } from "../page/dom.js";
import { duration, text, whole } from "../page/format.js";
import { mountPercentiles } from "../widgets/percentiles.js";

const RESPONSE = "inference.response_time_ms";
const STATS = ["p99", "p95", "p50"];
const HELP = "The response time of one model: P50, P95 and P99 of its successful requests, on the logarithmic axis of all models. P99 is faint where a point has fewer than 100 requests. Grey: the window before.";

// `root` has as many empty cards as charts are shown at most.
export function mount(root, page) {
  const cards = findAll("[data-widget]", root);
  let names = [];
  const limits = () => logLimits([page.series, page.before].flatMap((store) =>
    names.flatMap((name) => STATS.flatMap((stat) => store.get(RESPONSE, stat, name).map(({ y }) => y)))));
  const choose = () => {
    names = linesByGroup(page, RESPONSE, "count", "model", { limit: cards.length }).map(({ label }) => label);
    cards.forEach((card, index) => nameCard(card, names[index]));
    const known = page.data.models_known ?? 0;
    setText(find("[data-note]", root), `P50, P95 and P99, one scale${known > names.length && names.length ? `; the ${names.length} busiest of ${whole(known).number} models` : ""}`);
  };
  // Before the charts listen, because they draw what is chosen here.
  for (const topic of ["data", "figures"]) page.topics.on(topic, choose);
  choose();
  cards.forEach((card, index) => {
    const model = () => names[index] ?? ""; // a hidden card has none
    const ofModel = pageWith(page, {
      filters: () => ({ ...page.filters, model: [model()] }),
      data: () => ({ ...page.data, alerts: { ...page.data.alerts, marks: marksOfModel(page.data.alerts?.marks ?? [], model()) } }),
    });
    mountPercentiles(card, ofModel, {
      metric: RESPONSE,
      stats: STATS,
      inHead: ["p95"],
      before: "p95",
      model,
      fileTitle: () => "Response time", // of the model, which is among the filters
      help: HELP,
      limits,
      format: (value) => text(duration(value)),
      formatTick: durationLabel,
      emptyText: "No successful requests in this time range",
    });
  });
}

function nameCard(card, name) {
  card.hidden = name === undefined;
  const title = find(".card-title", card);
  if (card.hidden) {
    for (const part of [title, find("[data-description]", card)]) part.replaceChildren();
    return;
  }
  const link = find("a", title) ?? element("a", { class: "link" }, element("bdi"));
  if (!link.isConnected) title.replaceChildren(element("i", { class: "swatch", "aria-hidden": "true" }), link);
  find(".swatch", title).className = `swatch slot-${slotOf("model", name)}`;
  Object.assign(link, { href: modelPageUrl(name, location.search), title: `The page of ${name}` });
  setText(find("bdi", link), name);
  find("[data-info]", card).setAttribute("aria-label", `About ${name}`);
  find("[data-menu]", card).setAttribute("aria-label", `${name} menu`);
}
