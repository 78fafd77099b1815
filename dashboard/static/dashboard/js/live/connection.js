// The connection to the server: one WebSocket per tab, which reconnects; polling where no WebSocket can be opened.
// States of `page.connection`: connecting, live, catching-up, polling, disconnected, rejected.

import { currentTick, liveUrl, signInUrl } from "../page/api.js";
import { duration, text as figureText, timeOfDay } from "../page/format.js";

const DEAD_AFTER_MS = 4_000;
const DEAD_WHILE_HIDDEN_MS = 70_000; // a paused connection has a tick each 30 s
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const FAILURES_BEFORE_POLLING = 3;
const POLL_MS = 5_000;
const POLL_WHILE_HIDDEN_MS = 30_000; // for the sound of an alert
const RETRY_WHILE_POLLING_MS = 60_000;
const POLLS_PER_LOAD = 3; // while polling, the charts are loaded with every third poll
const SUSPEND_AFTER_MS = 60_000;
const CATCH_UP_RETRY_MS = 15_000;
const LOAD_AFTER_MS = 5_000; // not at once: a browser that skips updates is busy, and late events come in numbers
const TOO_MANY_DELAY_MS = 30_000;
const MAX_EVENTS = 20;

// Close codes of the server.
const SIGNED_OUT = 4401;
const NOT_ALLOWED = 4403;
const TOO_MANY = 4429;

export class LiveConnection {
  events = []; // {at, text}, the newest first
  rejection = null; // {text, signInUrl} where the server rejects the connection
  #page;
  #socket = null;
  #failures = 0;
  #polls = 0;
  #retryAt = null;
  #pollAt = null;
  #lastMessageAt = 0;
  #seq = null; // the second of the newest tick
  #server = null;
  #timers = {};
  #suspended = false; // paused because the tab is hidden: only changes of alerts arrive
  #sentSubscription = "";
  #subscriptions = 0; // sent so far; the number of a subscription is its id
  #subscriptionId = null; // of the data on the page
  #lostAt = null;

  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.#page = page;
  }

  start() {
    this.#open();
    setInterval(() => this.#checkEachSecond(), 1_000);
    window.addEventListener("online", () => this.retry());
    window.addEventListener("offline", () => this.#log("The browser is offline"));
    document.addEventListener("visibilitychange", () => this.#onVisibilityChange());
    this.#page.topics.on("data", () => this.#subscribe());
  }

  // Connect now, without waiting for the next attempt.
  retry() {
    if (this.#socket) return;
    clearTimeout(this.#timers.retry);
    this.#open();
  }

  // When the next attempt or poll is due (as `performance.now()`); null during an attempt.
  get nextAttemptAt() {
    if (this.#pollAt === null || this.#retryAt === null) return this.#retryAt;
    return Math.min(this.#retryAt, this.#pollAt);
  }

  #log(text) {
    this.events.unshift({ at: this.#page.now(), text });
    this.events.length = Math.min(this.events.length, MAX_EVENTS);
    this.#page.topics.emit("connection-event");
  }

  #open() {
    if (this.#socket) return;
    this.#retryAt = null;
    let socket;
    try {
      socket = new WebSocket(liveUrl());
    } catch {
      this.#onFailure("The browser cannot open a WebSocket");
      return;
    }
    this.#socket = socket;
    this.#lastMessageAt = performance.now();
    this.#sentSubscription = "";
    socket.addEventListener("message", (event) => this.#socket === socket && this.#onMessage(event.data));
    socket.addEventListener("close", (event) => this.#socket === socket && this.#onClose(event));
  }

  #onMessage(data) {
    this.#lastMessageAt = performance.now();
    const message = JSON.parse(data);
    if (message.type === "tick") this.#onTick(message);
    else if (message.type === "hello") this.#onHello(message);
    else if (message.type === "subscribed") this.#pollCharts(false);
    else if (message.type === "alert") this.#page.topics.emit("alert", message);
    else if (message.type === "alerts_changed") this.#page.topics.emit("alerts-changed");
    else if (message.type === "error") {
      this.#log(message.detail);
      // The server cannot send these charts with each tick, so the page loads them every few seconds.
      if (["poll", "bad_query"].includes(message.code)) this.#pollCharts(true);
    }
  }

  #pollCharts(on) {
    clearInterval(this.#timers.charts);
    if (!on) return;
    this.#timers.charts = setInterval(() => {
      if (this.#page.live && !document.hidden) this.#page.load({ quiet: true });
    }, POLLS_PER_LOAD * POLL_MS);
  }

  #onHello(message) {
    this.#stopPolling();
    const reconnected = this.#lostAt !== null;
    const server = `${message.server.version} ${message.server.start}`;
    const restarted = this.#server !== null && server !== this.#server;
    this.#server = server;
    this.#failures = 0;
    const suffix = restarted ? "; the server was restarted" : "";
    if (reconnected) this.#page.topics.emit("alerts-changed");
    if (this.#suspended) {
      this.#pauseUpdates(); // it was lost while the tab is hidden
      return;
    }
    this.#log(reconnected ? `Reconnected${this.#outageText(message.seq)}${suffix}` : "Connected");
    this.#seq = message.seq;
    this.#page.applyTick(message);
    if (reconnected) this.#catchUp(this.#socket);
    else this.#page.setConnection("live");
    this.#subscribe();
  }

  #outageText(seq) {
    if (this.#seq === null) return "";
    const seconds = Math.max(1, seq - this.#seq);
    return ` after ${seconds < 60 ? `${seconds} s` : figureText(duration(seconds * 1000))}`;
  }

  // Load the charts once, because the store holds what the page missed. If this connection is lost meanwhile, the next
  // connection does it.
  async #catchUp(socket) {
    this.#page.setConnection("catching-up");
    const outcome = await this.#page.load({ quiet: true });
    if (this.#socket !== socket) return;
    if (outcome === "failed" || outcome === "cancelled") {
      if (outcome === "failed") this.#log("The missed data could not be loaded");
      setTimeout(() => this.#socket === socket && this.#catchUp(socket), CATCH_UP_RETRY_MS);
      return;
    }
    this.#lostAt = null;
    this.#page.setConnection("live");
    if (outcome === "loaded") this.#log("Caught up");
  }

  #onTick(message) {
    this.#seq = message.seq;
    if (message.id !== this.#subscriptionId) {
      // It was sent before the page changed its subscription.
      for (const name of ["view", "buckets", "reread_from"]) delete message[name];
    }
    this.#page.applyTick(message);
    if (message.dropped) {
      this.#log(`Skipped ${message.dropped} update${message.dropped === 1 ? "" : "s"} because this browser is too slow`);
      this.#loadSoon(); // the server does not send the buckets of skipped ticks again
    }
    // Late events have changed older buckets than a tick has. A paused page loads its data when it continues.
    if (message.reread_from && this.#page.live) this.#loadSoon();
  }

  #loadSoon() {
    this.#timers.load ??= setTimeout(() => {
      this.#timers.load = null;
      if (this.#page.rolling) this.#page.load({ quiet: true });
    }, LOAD_AFTER_MS);
  }

  #onClose(event) {
    this.#socket = null;
    if (event.code === SIGNED_OUT) this.#reject("You are signed out.", signInUrl());
    else if (event.code === NOT_ALLOWED) this.#reject(event.reason || "Your role does not allow reading live values.");
    else this.#onFailure(event.reason || "Connection lost", event.code === TOO_MANY ? TOO_MANY_DELAY_MS : null);
  }

  #reject(text, url = null) {
    this.#stopPolling();
    this.#log(text);
    this.rejection = { text, signInUrl: url };
    this.#page.setConnection("rejected", text);
  }

  // Schedule the next attempt: after `delay`, or with exponential backoff and jitter.
  #onFailure(text, delay = null) {
    this.#failures += 1;
    if (this.#lostAt === null && this.#page.connection.state !== "connecting") this.#lostAt = this.#page.now();
    this.#log(text);
    const polling = this.#failures >= FAILURES_BEFORE_POLLING;
    if (this.#page.connection.state !== "polling") this.#setDisconnected();
    const backoff = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1));
    const wait = delay ?? (polling ? RETRY_WHILE_POLLING_MS : Math.max(100, Math.random() * backoff));
    this.#retryAt = performance.now() + wait;
    this.#timers.retry = setTimeout(() => this.#open(), wait);
    if (polling && !this.#timers.poll) this.#poll();
  }

  #setDisconnected() {
    const at = this.#page.tick?.at ? Date.parse(this.#page.tick.at) : this.#page.data.now;
    this.#page.setConnection("disconnected", `data from ${timeOfDay(at)}`);
  }

  async #poll() {
    const wait = document.hidden ? POLL_WHILE_HIDDEN_MS : POLL_MS;
    clearTimeout(this.#timers.poll);
    this.#timers.poll = setTimeout(() => this.#poll(), wait);
    this.#pollAt = performance.now() + wait;
    try {
      const tick = await currentTick();
      if (this.#socket?.readyState === WebSocket.OPEN) return;
      this.#page.applyTick(tick);
      const wasDisconnected = this.#page.connection.state === "disconnected";
      if (wasDisconnected) {
        // The server responds, so a WebSocket may work as well.
        this.#log("The server responds again");
        this.retry();
      }
      this.#page.setConnection("polling");
      if (document.hidden) return;
      if (wasDisconnected || this.#polls++ % POLLS_PER_LOAD === 0) this.#page.load({ quiet: true });
    } catch (problem) {
      if (problem.status === 401) this.#reject("You are signed out.", signInUrl());
      else if (problem.status === 403) this.#reject(problem.message);
      else if (this.#socket?.readyState !== WebSocket.OPEN) this.#setDisconnected();
    }
  }

  #stopPolling() {
    clearTimeout(this.#timers.poll);
    this.#timers.poll = null;
    this.#pollAt = null;
    this.#polls = 0;
  }

  #checkEachSecond() {
    const limit = document.hidden ? DEAD_WHILE_HIDDEN_MS : DEAD_AFTER_MS;
    if (this.#socket && performance.now() - this.#lastMessageAt > limit) {
      const socket = this.#socket;
      this.#socket = null;
      socket.close();
      this.#onFailure(`No message for ${limit / 1000} s`);
    }
    this.#page.topics.emit("second");
  }

  #onVisibilityChange() {
    clearTimeout(this.#timers.suspend);
    if (document.hidden) {
      this.#timers.suspend = setTimeout(() => {
        this.#suspended = true;
        this.#lostAt ??= this.#page.now();
        this.#pauseUpdates();
        this.#log("Updates paused: the tab was hidden for a minute");
      }, SUSPEND_AFTER_MS);
    } else {
      this.#lastMessageAt = performance.now();
      if (this.#suspended) {
        const socket = this.#socket;
        this.#socket = null; // a new connection brings what was missed
        socket?.close();
      }
      this.#suspended = false;
      this.#polls = 0;
      if (this.#timers.poll) this.#poll();
      this.retry();
      this.#page.refreshSoon();
    }
  }

  #pauseUpdates() {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send('{"type": "pause"}');
  }

  // Subscribe to what the page shows. A window between two fixed times needs no buckets, a page without series nothing.
  #subscribe() {
    const page = this.#page;
    const needed = page.specs.length > 0 && (page.rolling || page.isFiltered);
    const message = needed
      ? { type: "subscribe", filters: page.filters, step: page.series.step / 1000, series: page.rolling ? page.subscribedSpecs : [] }
      : { type: "unsubscribe" };
    const subscription = JSON.stringify(message);
    if (this.#suspended || subscription === this.#sentSubscription || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#sentSubscription = subscription;
    this.#subscriptionId = needed ? String((this.#subscriptions += 1)) : null;
    this.#socket.send(JSON.stringify(needed ? { ...message, id: this.#subscriptionId } : message));
  }
}
