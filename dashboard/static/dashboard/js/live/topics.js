// Publish and subscribe between the parts of a page.

export class Topics {
  #listeners = new Map();

  on(topic, listener) {
    if (!this.#listeners.has(topic)) this.#listeners.set(topic, new Set());
    this.#listeners.get(topic).add(listener);
  }

  emit(topic, value) {
    for (const listener of this.#listeners.get(topic) ?? []) {
      try {
        listener(value);
      } catch (error) {
        reportError(error); // the other listeners still run
      }
    }
  }
}
