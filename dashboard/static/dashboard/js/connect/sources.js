// The table of sources. The time since the last event is counted each second; a row that is new is marked for a minute.

import { slotOf } from "../charts/palette.js";
import { element, find, findAll, setText } from "../page/dom.js";
import { ago, dayOfMonth, hourAndMinute, whole } from "../page/format.js";

const NEW_MS = 60_000;

export function mount(root, page) {
  const body = find("tbody", root);
  const firstSeen = new Map(page.data.sources.rows.map(({ key }) => [key, -Infinity]));
  let drawn = "";

  const draw = () => {
    const { rows, omitted } = page.data.sources;
    for (const { key } of rows) if (!firstSeen.has(key)) firstSeen.set(key, performance.now());
    const isNew = ({ key }) => performance.now() - firstSeen.get(key) < NEW_MS;
    const news = rows.filter(isNew).length;
    setText(find("[data-values]", root), `${rows.length + omitted} known${news ? `, ${news} new` : ""}${omitted ? `, ${omitted} not listed` : ""}`);
    const key = JSON.stringify(rows.map((row) => [row.key, row.models, row.rate, isNew(row)]));
    if (key !== drawn) body.replaceChildren(...rows.map((row) => rowOf(row, isNew(row))));
    drawn = key;
    const times = findAll("time", body);
    rows.forEach(({ at }, index) => drawTime(times[index], Date.parse(at), page.now()));
  };
  for (const topic of ["data", "figures", "second"]) page.topics.on(topic, draw);
  draw();
}

function rowOf({ name, sends, models, models_omitted: omitted, rate, is_demo: isDemo }, isNew) {
  const swatch = (model) => element("span", { class: "source-model" },
    element("span", { class: `swatch slot-${slotOf("model", model)}`, "aria-hidden": "true" }), element("bdi", {}, model));
  const shown = () => [...(models.length ? models.map(swatch) : ["—"]), omitted ? `and ${whole(omitted).number} more` : null];
  return element("tr", isNew ? { class: "is-new" } : {},
    element("th", { scope: "row" }, name ? element("bdi", {}, name) : element("span", { class: "muted" }, "no service name"),
      isNew ? element("span", { class: "tag" }, "new") : null, isDemo ? element("span", { class: "tag" }, "demo") : null,
      models.length ? element("span", { class: "narrow muted" }, ...shown()) : null),
    element("td", { class: "wide" }, sends),
    element("td", { class: "wide" }, ...shown()),
    element("td", { class: "figure" }, rate),
    element("td", { class: "figure" }, element("time")));
}

function drawTime(node, at, now) {
  node.dateTime = new Date(at).toISOString();
  node.title = `${dayOfMonth(at)}, ${hourAndMinute(at)}`;
  setText(node, ago(Math.max(0, (now - at) / 1000)));
}
