// The server's clock, because that of this computer may be wrong.

const NETWORK_MS = 1_500; // smaller differences come from the network: a tick is some milliseconds old when it arrives

export class Clock {
  #offset;

  constructor(now) {
    this.#offset = now - Date.now();
  }

  // The server's time in epoch milliseconds.
  now() {
    return Date.now() + this.#offset;
  }

  // Set the clock by the time in a response that took `took` milliseconds.
  set(now, took) {
    this.#offset = now - Date.now() + took / 2;
  }

  correct(iso) {
    const offset = Date.parse(iso) - Date.now();
    if (Number.isFinite(offset) && Math.abs(offset - this.#offset) > NETWORK_MS) this.#offset = offset;
  }
}
