// The sound of alerts, made with WebAudio: two short notes for critical alerts, one for warnings. It is off until the
// person turns it on, and this browser remembers that. Of all tabs one rings, at most once in ten seconds, and each alert
// rings once. A browser may keep a page silent until a person touches it; then `isBlocked`.
//
// Emits the topic "sound" when its state changes, and "sound-played" with {severity, isTest}.

import { recall, remember } from "../page/storage.js";

const ON = "llmmonitor.alert-sound";
const MUTED_UNTIL = "llmmonitor.alert-sound-muted-until";
const RUNG = "llmmonitor.alert-sound-rung"; // {at, severity, alerts: the newest ones that have rung}
const MUTE_MS = 30 * 60_000;
const INTERVAL_MS = 10_000;
const RUNG_KEPT = 200;
const GESTURES = ["pointerdown", "pointerup", "keydown"];
// Seconds after the begin, length, Hz.
const NOTES = { critical: [[0, 0.16, 880], [0.22, 0.2, 1174.7]], warning: [[0, 0.24, 659.3]] };
const VOLUME = 0.25;

const keyOf = ({ id, started_at: startedAt }) => `${id} ${startedAt}`;

export class AlertSound {
  #page;
  #context = null;

  constructor(page) {
    this.#page = page;
    if (this.isOn) this.#open();
    for (const name of GESTURES) document.addEventListener(name, () => this.isBlocked && this.#context.resume(), true);
    window.addEventListener("storage", ({ key }) => [ON, MUTED_UNTIL].includes(key) && this.#onChange());
  }

  get isOn() {
    return recall(ON, false);
  }

  set isOn(on) {
    remember(ON, on);
    this.#onChange();
  }

  // How long it is still muted; 0 if it is not.
  get mutedMs() {
    return Math.min(MUTE_MS, Math.max(0, recall(MUTED_UNTIL, 0) - Date.now()));
  }

  mute(muted = true) {
    remember(MUTED_UNTIL, muted ? Date.now() + MUTE_MS : 0);
    this.#onChange();
  }

  get isBlocked() {
    return this.isOn && this.#context !== null && this.#context.state !== "running";
  }

  // Play the sound of a severity, also while it is off or muted. To be called for a click or a key.
  async test(severity) {
    await this.#open().resume();
    this.#play(severity, true);
  }

  // Ring for alerts that have arrived. `isStillNew`: whether an alert still needs to ring later.
  async ring(alerts, isStillNew) {
    if (!this.isOn || this.mutedMs || this.isBlocked) return;
    await inOneTab(() => {
      const rung = recall(RUNG, { at: 0, severity: "", alerts: [] });
      const fresh = alerts.filter((alert) => NOTES[alert.severity] && !rung.alerts.includes(keyOf(alert)));
      if (!fresh.length) return;
      const severity = fresh.some((alert) => alert.severity === "critical") ? "critical" : "warning";
      const waitMs = rung.at + INTERVAL_MS - Date.now();
      if (waitMs > 0 && waitMs <= INTERVAL_MS) {
        // A critical alert is not lost behind a warning.
        if (severity === "critical" && rung.severity !== "critical") setTimeout(() => this.ring(fresh.filter(isStillNew), isStillNew), waitMs);
        return;
      }
      remember(RUNG, { at: Date.now(), severity, alerts: [...rung.alerts, ...fresh.map(keyOf)].slice(-RUNG_KEPT) });
      this.#play(severity, false);
    });
  }

  #onChange() {
    if (this.isOn) this.#open();
    this.#page.topics.emit("sound");
  }

  #open() {
    if (!this.#context) {
      this.#context = new AudioContext();
      this.#context.addEventListener("statechange", () => this.#page.topics.emit("sound"));
    }
    return this.#context;
  }

  #play(severity, isTest) {
    const context = this.#open();
    for (const [after, length, hertz] of NOTES[severity]) {
      const begin = context.currentTime + 0.02 + after;
      const oscillator = new OscillatorNode(context, { frequency: hertz, type: "triangle" });
      const gain = new GainNode(context, { gain: 0 });
      gain.gain.setValueAtTime(0, begin);
      gain.gain.linearRampToValueAtTime(VOLUME, begin + 0.015); // a sudden begin or end clicks
      gain.gain.setValueAtTime(VOLUME, begin + length - 0.06);
      gain.gain.linearRampToValueAtTime(0, begin + length);
      oscillator.connect(gain).connect(context.destination);
      oscillator.start(begin);
      oscillator.stop(begin + length);
    }
    this.#page.topics.emit("sound-played", { severity, isTest });
  }
}

// Run `work` while no other tab does. Without HTTPS, other hosts than loopback have no locks: then two tabs may ring.
function inOneTab(work) {
  return navigator.locks ? navigator.locks.request("llmmonitor-sound", work) : work();
}
