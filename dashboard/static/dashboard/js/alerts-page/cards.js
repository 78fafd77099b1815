// The active alerts: the first firing ones as cards, further and pending ones as rows, which a press opens. A card stays the
// same element while its alert is active, so that a note is not lost. The order changes only while neither the pointer nor
// the focus is in the list. The address of a message about an alert has its id: `#alert-7`.

import { element, find, setText } from "../page/dom.js";
import { perFrame } from "../page/scheduling.js";
import { takeAction } from "../alerts/actions.js";
import { createCard, structure, updateCard } from "./card.js";

const LARGE = 2;
const ACTIONS = ":is(.alert-actions, .alert-end) button";
const FIRST = 8; // further alerts are shown at the press of a button

export function mount(section, page) {
  const root = find("[data-list]", section);
  const more = find("[data-more]", section);
  const none = find("[data-hidden]", section);
  const cards = new Map(); // alert id → {node, key}
  const opened = new Set();
  let action = takeAction();
  let showsAll = Boolean(action);
  if (action) opened.add(action.id);
  let named = null; // id of the alert in the address, until it is in view
  const readAddress = () => {
    named = Number(/^#alert-(\d+)$/.exec(location.hash)?.[1]) || null;
    if (!named) return;
    showsAll = true;
    opened.add(named);
    draw();
  };
  more.addEventListener("click", () => {
    showsAll = true;
    draw();
  });

  const toggle = (id) => {
    if (!opened.delete(id)) opened.add(id);
    draw();
    find(`[data-alert="${id}"] h2 button`, root)?.focus();
  };
  const cardOf = (alert, index) => {
    const isFirst = alert.state === "firing" && !alert.silence && index < LARGE;
    const isLarge = isFirst || opened.has(alert.id);
    const key = structure(alert, isLarge);
    const known = cards.get(alert.id);
    if (known?.key === key) return known.node;
    const node = createCard(alert, page, isLarge, isFirst ? null : () => toggle(alert.id));
    const note = known && find(".alert-note", known.node);
    if (note && find(".alert-note", node)) find(".alert-note", node).value = note.value;
    if (known) replace(known.node, node);
    cards.set(alert.id, { node, key });
    return node;
  };
  const isHeld = () => root.matches(":hover, :focus-within") && root.children.length > 0;
  let withChart = true;
  const drawFrame = perFrame(() => {
    const { alerts: sent, alerts_omitted: omitted, alerts_hidden: hidden } = page.data;
    const alerts = showsAll ? sent : sent.slice(0, FIRST);
    none.hidden = Boolean(sent.length || !hidden);
    setText(none, `The filters hide ${hidden === 1 ? "the active alert" : `all ${hidden} active alerts`}.`);
    more.hidden = alerts.length === sent.length && !omitted;
    more.disabled = alerts.length === sent.length;
    setText(more, more.disabled ? `${omitted} more: choose them by the filters` : omitted ? `Show ${sent.length} of ${sent.length + omitted} alerts` : `Show all ${sent.length} alerts`);
    const nodes = alerts.map(cardOf);
    const ids = new Set(alerts.map(({ id }) => id));
    for (const [id, { node }] of cards) {
      if (ids.has(id)) continue;
      node.remove();
      cards.delete(id);
    }
    if (!isHeld()) nodes.forEach((node, index) => root.children[index] !== node && root.insertBefore(node, root.children[index] ?? null));
    else for (const node of nodes) if (!node.isConnected) root.append(node);
    alerts.forEach((alert, index) => updateCard(nodes[index], alert, page, { withChart }));
    for (const button of root.querySelectorAll(ACTIONS)) button.disabled = page.isDisconnected;
    withChart = false;
    if (action) focusAction();
    else if (named) showNamed();
  });
  const draw = () => {
    withChart = true;
    drawFrame();
  };
  const showNamed = () => {
    const card = cards.get(named)?.node;
    card?.scrollIntoView({ block: "center" });
    (card && find(".alert-note", card))?.focus({ preventScroll: true });
    named = null;
  };
  const focusAction = () => {
    const card = find(`[data-alert="${action.id}"]`, root);
    const note = card && find(".alert-note", card);
    if (note) note.value = action.note;
    (action.name === "silence" ? card && find("[data-silence]", card) : note)?.focus();
    action = null;
  };
  for (const topic of ["data", "figures", "theme"]) page.topics.on(topic, draw);
  for (const topic of ["second", "connection"]) page.topics.on(topic, drawFrame);
  addEventListener("hashchange", readAddress);
  page.topics.on("alert", ({ alert }) => {
    const index = page.data.alerts.findIndex(({ id }) => id === alert.id);
    if (index >= 0) {
      if (alert.ended_at) page.data.alerts.splice(index, 1);
      else page.data.alerts[index] = { ...page.data.alerts[index], ...alert };
      draw();
    }
  });
  for (const topic of ["alert", "alerts-changed"]) page.topics.on(topic, page.refreshSoon);
  new ResizeObserver(draw).observe(root);
  readAddress();
  draw();
}

function replace(old, node) {
  const hadFocus = old.contains(document.activeElement);
  old.replaceWith(node);
  const next = ".alert-actions input, .alert-actions button, .alert-end button";
  if (hadFocus) (find(next, node) ?? find("button, a, input", node) ?? element("span")).focus();
}
