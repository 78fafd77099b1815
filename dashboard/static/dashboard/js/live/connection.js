// The connection: one WebSocket for the tab, with reconnect and catching up; polling where a socket cannot be had.
// States of the page's connection: connecting, live, catching-up, polling, disconnected, refused.

import { currentTick, signInUrl } from "../page/api.js";
import { duration, text, timeOfDay } from "../page/format.js";

const DEAD_AFTER_MS = 4_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const FAILURES_BEFORE_POLLING = 3;
const POLL_MS = 5_000;
const SOCKET_AGAIN_MS = 60_000;
const ASLEEP_AFTER_MS = 60_000;
const READ_WHILE_POLLING = 3; // each so many polls the charts are read anew
const CATCH_UP_AGAIN_MS = 15_000;
const READ_DROPPED_AFTER_MS = 5_000; // a browser that is too slow has enough to do
const TOO_MANY_WAIT_MS = 30_000;
const KEPT_EVENTS = 20;

const SIGNED_OUT = 4401;
const NOT_ALLOWED = 4403;
const TOO_MANY = 4429;

export class Live {
  events = []; // {at, words}, newest first
  retryAt = null;
  #pollAt = null;
  #page;
  #specs;
  #socket = null;
  #failures = 0;
  #polls = 0;
  #lastMessage = 0;
  #seq = null; // the second of the newest tick
  #server = null;
  #timers = {};
  #asleep = false;
  #subscribed = "";
  #questions = 0; // asked so far: each has its number as id
  #question = null; // the id of the one on screen
  #lostAt = null;

  constructor(page, specs) {
    this.#page = page;
    this.#specs = specs;
  }

  start() {
    this.#open();
    setInterval(() => this.#watch(), 1_000);
    window.addEventListener("online", () => this.retry());
    window.addEventListener("offline", () => this.#note("The browser is offline"));
    document.addEventListener("visibilitychange", () => this.#seen());
    this.#page.topics.on("data", () => this.#subscribe());
  }

  // Try now, whatever the waiting time.
  retry() {
    if (this.#socket) return;
    clearTimeout(this.#timers.retry);
    this.#open();
  }

  // When the server is asked next, by whatever way; null while it is being asked.
  get nextTryAt() {
    return this.#pollAt === null || this.retryAt === null ? this.retryAt : Math.min(this.retryAt, this.#pollAt);
  }

  #note(words) {
    this.events.unshift({ at: this.#page.now(), words });
    this.events.length = Math.min(this.events.length, KEPT_EVENTS);
    this.#page.topics.emit("connection-event");
  }

  #open() {
    if (this.#socket) return;
    this.retryAt = null;
    let socket;
    try {
      socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/metrics`);
    } catch {
      this.#failed("The browser cannot open a WebSocket");
      return;
    }
    this.#socket = socket;
    this.#lastMessage = performance.now();
    this.#subscribed = "";
    socket.addEventListener("message", (event) => this.#socket === socket && this.#heard(event.data));
    socket.addEventListener("close", (event) => this.#socket === socket && this.#closed(event));
  }

  #heard(data) {
    this.#lastMessage = performance.now();
    const message = JSON.parse(data);
    if (message.type === "tick") this.#tick(message);
    else if (message.type === "hello") this.#hello(message);
    else if (message.type === "subscribed") this.#readCharts(false);
    else if (message.type === "error") {
      this.#note(message.detail);
      // What cannot be sent with each tick is read every few seconds instead.
      if (["poll", "bad_query"].includes(message.code)) this.#readCharts(true);
    }
  }

  #readCharts(wanted) {
    clearInterval(this.#timers.charts);
    if (wanted) {
      this.#timers.charts = setInterval(() => {
        if (this.#page.live && !document.hidden) this.#page.load({ quiet: true });
      }, READ_WHILE_POLLING * POLL_MS);
    }
  }

  #hello(message) {
    this.#stopPolling();
    const again = this.#lostAt !== null;
    const server = `${message.server.version} ${message.server.start}`;
    const restarted = this.#server !== null && server !== this.#server;
    this.#server = server;
    this.#failures = 0;
    this.#note(again ? `Reconnected${this.#away(message.seq)}${restarted ? "; the server was restarted" : ""}` : "Connected");
    this.#seq = message.seq;
    this.#page.takeTick(message);
    if (again) this.#catchUp(this.#socket);
    else this.#page.setConnection("live");
    this.#subscribe();
  }

  #away(seq) {
    if (this.#seq === null) return "";
    const seconds = Math.max(1, seq - this.#seq);
    return ` after ${seconds < 60 ? `${seconds} s` : text(duration(seconds * 1000))}`;
  }

  // What was missed is in the store: the charts are read anew, once. Where this connection is lost meanwhile, the next
  // one has to.
  async #catchUp(socket) {
    this.#page.setConnection("catching-up");
    const outcome = await this.#page.load({ quiet: true });
    if (this.#socket !== socket) return;
    if (outcome === "failed" || outcome === "cancelled") {
      if (outcome === "failed") this.#note("The missed data could not be loaded");
      setTimeout(() => this.#socket === socket && this.#catchUp(socket), CATCH_UP_AGAIN_MS);
      return;
    }
    this.#lostAt = null;
    this.#page.setConnection("live");
    if (outcome === "read") this.#note("Caught up");
  }

  #tick(message) {
    this.#seq = message.seq;
    if (message.id !== this.#question) {
      // It was on its way when the page turned to something else.
      delete message.view;
      delete message.buckets;
    }
    this.#page.takeTick(message);
    if (message.dropped) {
      this.#note(`Skipped ${message.dropped} update${message.dropped === 1 ? "" : "s"} because this browser is too slow`);
      this.#readDropped();
    }
  }

  // The buckets of a tick that was left out do not come again.
  #readDropped() {
    this.#timers.dropped ??= setTimeout(() => {
      this.#timers.dropped = null;
      if (this.#page.rolling) this.#page.load({ quiet: true });
    }, READ_DROPPED_AFTER_MS);
  }

  #closed(event) {
    this.#socket = null;
    if (event.code === SIGNED_OUT) return this.#refused("You are signed out.", signInUrl());
    if (event.code === NOT_ALLOWED) return this.#refused(event.reason || "Your role does not allow reading live values.");
    if (this.#asleep) return undefined;
    return this.#failed(event.reason || "Connection lost", event.code === TOO_MANY ? TOO_MANY_WAIT_MS : null);
  }

  #refused(words, signIn = null) {
    this.#stopPolling();
    this.#note(words);
    this.refusal = { words, signIn };
    this.#page.setConnection("refused", words);
  }

  #failed(words, wait = null) {
    this.#failures += 1;
    if (this.#lostAt === null && this.#page.connection.state !== "connecting") this.#lostAt = this.#page.now();
    this.#note(words);
    const polling = this.#failures >= FAILURES_BEFORE_POLLING;
    if (this.#page.connection.state !== "polling") this.#disconnected();
    const most = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1));
    const pause = wait ?? (polling ? SOCKET_AGAIN_MS : Math.max(100, Math.random() * most));
    this.retryAt = performance.now() + pause;
    this.#timers.retry = setTimeout(() => this.#open(), pause);
    if (polling && !this.#timers.poll) this.#poll();
  }

  #disconnected() {
    const at = this.#page.tick?.at ? Date.parse(this.#page.tick.at) : this.#page.data.now;
    this.#page.setConnection("disconnected", `data from ${timeOfDay(at)}`);
  }

  async #poll() {
    this.#timers.poll = setTimeout(() => this.#poll(), POLL_MS);
    this.#pollAt = performance.now() + POLL_MS;
    if (document.hidden) return;
    try {
      const tick = await currentTick();
      if (this.#socket?.readyState === WebSocket.OPEN) return;
      this.#page.takeTick(tick);
      const back = this.#page.connection.state === "disconnected";
      if (back) {
        // The server is there again, so a socket may be, too.
        this.#note("The server responds again");
        this.retry();
      }
      this.#page.setConnection("polling");
      if (back || this.#polls++ % READ_WHILE_POLLING === 0) this.#page.load({ quiet: true });
    } catch (problem) {
      if (problem.status === 401) this.#refused("You are signed out.", signInUrl());
      else if (problem.status === 403) this.#refused(problem.message);
      else if (this.#socket?.readyState !== WebSocket.OPEN) this.#disconnected();
    }
  }

  #stopPolling() {
    clearTimeout(this.#timers.poll);
    this.#timers.poll = null;
    this.#pollAt = null;
    this.#polls = 0;
  }

  #watch() {
    if (this.#socket && !document.hidden && performance.now() - this.#lastMessage > DEAD_AFTER_MS) {
      const dead = this.#socket;
      this.#socket = null;
      dead.close();
      this.#failed("No message for 4 s");
    }
    this.#page.topics.emit("second");
  }

  #seen() {
    clearTimeout(this.#timers.asleep);
    if (document.hidden) {
      this.#timers.asleep = setTimeout(() => {
        this.#asleep = true;
        this.#lostAt = this.#page.now();
        this.#socket?.close();
        this.#socket = null;
        this.#note("Updates paused: the tab was hidden for a minute");
      }, ASLEEP_AFTER_MS);
    } else {
      this.#lastMessage = performance.now();
      this.#asleep = false;
      this.retry();
    }
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  // Say what is on screen. A window that does not move needs no buckets.
  #subscribe() {
    const page = this.#page;
    const message =
      page.rolling || page.isFiltered
        ? {
            type: "subscribe",
            filters: page.filters,
            step: page.series.step / 1000,
            series: page.rolling ? this.#specs : [],
          }
        : { type: "unsubscribe" };
    const wanted = JSON.stringify(message);
    if (wanted === this.#subscribed || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#subscribed = wanted;
    this.#question = message.type === "subscribe" ? String((this.#questions += 1)) : null;
    this.#send(this.#question ? { ...message, id: this.#question } : message);
  }
}
