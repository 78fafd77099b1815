// The alerts of the timeline as a table, with links to them as files.

import { exportUrl } from "../page/api.js";
import { element, find, setText } from "../page/dom.js";
import { valueText } from "../page/format.js";
import { group, momentText, spanText } from "../alerts/words.js";

const COLUMNS = ["Alert", "Group", "Severity", "Began", "What", "Peak", "Acknowledged by", "Note"];

export function mountList(root, page) {
  const button = find("[data-list]", root);
  const target = find("[data-table]", root);
  const draw = () => !target.hidden && target.replaceChildren(...listContent(page));
  button.addEventListener("click", () => {
    target.hidden = !target.hidden;
    button.setAttribute("aria-expanded", String(!target.hidden));
    setText(button, target.hidden ? "Alerts as a list →" : "Hide the list");
    draw();
  });
  page.topics.on("data", draw);
}

// A function that returns a link to a file of the time range and the labels chosen.
export function fileLinks(page) {
  const search = new URLSearchParams(page.params.range ? { range: page.params.range } : { from: String(page.params.from / 1000), to: String(page.params.to / 1000) });
  for (const [name, values] of Object.entries(page.filters)) {
    if (!["state", "severity"].includes(name)) for (const value of values) search.append(name, value);
  }
  return (kind) => element("a", { href: exportUrl(kind, search), download: "" }, kind.endsWith("csv") ? "CSV" : "JSON");
}

function listContent(page) {
  const now = page.now();
  const file = fileLinks(page);
  const alerts = page.data.timeline.rows
    .flatMap((row) => row.alerts.map((alert) => ({ ...alert, row })))
    .sort((a, b) => Date.parse(b.since) - Date.parse(a.since));
  const cells = ({ row, ...alert }) => [
    group(row.labels, page), alert.severity, momentText(Date.parse(alert.started_at ?? alert.since), now), spanText(alert, now).split(",")[0] + (alert.silence ? ", silenced" : ""),
    valueText(alert.peak, row.unit), alert.acknowledged_at ? (alert.acknowledged_by ?? "somebody") : "", alert.note ?? "",
  ];
  return [
    element("p", { class: "timeline-files muted" }, "Save alerts: ", file("alerts.csv"), " ", file("alerts.json"), " · their changes: ", file("alert_history.csv"), " ", file("alert_history.json")),
    element("table", { class: "table" },
      element("thead", {}, element("tr", {}, ...COLUMNS.map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...alerts.map((alert) => element("tr", {}, element("th", { scope: "row" }, alert.row.name), ...cells(alert).map((cell) => element("td", {}, cell)))))),
  ];
}
