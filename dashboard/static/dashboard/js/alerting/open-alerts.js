// The alerts that fire: read from the server once, then changed by its messages. If the newest change of two ticks (while polling: of one) is not
// the newest change known here, messages were missed, and the alerts are read again. So it works while polling, too.
//
// Emits the topic "firing" with {arrived, over, isFirst}: alerts that begin to need attention, and alerts that ended.
// Alerts of the first reading have not arrived, they were there.

import { firingAlerts } from "../page/api.js";
import { bySeverity } from "../page/severities.js";
import { needsAttention } from "./messages.js";

const READS = 3; // of alerts that change while they are read

export class OpenAlerts {
  #page;
  #alerts = null; // by id; null before the first reading
  #changes = new Map(); // alert id → id of its newest change: of two processes' messages, the older may come later
  #lastChange = null;
  #differing = 0; // ticks in a row
  #messages = 0;
  #reading = null;

  constructor(page) {
    this.#page = page;
    page.topics.on("alert", (message) => this.#onMessage(message));
    page.topics.on("alerts-changed", () => {
      this.#messages += 1;
      this.read();
    });
    page.topics.on("tick", (tick) => this.#compare(tick.alerts?.last_change ?? null));
  }

  get all() {
    return [...(this.#alerts?.values() ?? [])];
  }

  // Those that need attention, the most severe first.
  get needingAttention() {
    return this.all.filter(needsAttention).sort(bySeverity);
  }

  has(id) {
    return this.#alerts?.has(id) ?? false;
  }

  read() {
    this.#reading ??= this.#read().finally(() => (this.#reading = null));
    return this.#reading;
  }

  async #read() {
    const lastChange = this.#page.tick?.alerts?.last_change ?? this.#lastChange;
    try {
      for (let attempt = 1; ; attempt += 1) {
        const messages = this.#messages;
        const { results } = await firingAlerts();
        if (messages !== this.#messages && attempt < READS) continue;
        this.#replace(new Map(results.map((alert) => [alert.id, alert])));
        this.#changes.clear();
        this.#lastChange = lastChange;
        return;
      }
    } catch {
      // The next ticks differ still, so it is tried again.
    }
  }

  #onMessage({ change, alert }) {
    this.#messages += 1;
    this.#lastChange = Math.max(this.#lastChange, change.id);
    if (change.id < (this.#changes.get(alert.id) ?? 0)) return;
    this.#changes.set(alert.id, change.id);
    if (!this.#alerts) return; // the first reading has it
    const next = new Map(this.#alerts);
    if (alert.state === "firing") next.set(alert.id, alert);
    else {
      next.delete(alert.id);
      this.#changes.delete(alert.id);
    }
    this.#replace(next, alert);
  }

  #replace(next, ended = null) {
    const before = this.#alerts;
    this.#alerts = next;
    const neededAttention = (id) => before.has(id) && needsAttention(before.get(id));
    const arrived = before ? this.needingAttention.filter(({ id }) => !neededAttention(id)) : [];
    const now = new Date(this.#page.now()).toISOString();
    const over = [...(before?.values() ?? [])]
      .filter(({ id }) => !next.has(id))
      .map((alert) => (alert.id === ended?.id ? ended : { ...alert, state: "resolved", ended_at: now }));
    this.#page.topics.emit("firing", { arrived, over, isFirst: !before });
  }

  #compare(lastChange) {
    this.#differing = lastChange === null || lastChange === this.#lastChange ? 0 : this.#differing + 1;
    const mayBeLate = this.#page.connection.state === "live"; // the message, after the tick
    if (this.#differing < (mayBeLate ? 2 : 1) && this.#alerts) return;
    this.#differing = 0;
    this.read();
  }
}
