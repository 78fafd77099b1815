// Publish and subscribe between the parts of a page.

export class Topics {
  #listeners = new Map();

  // Answers the function that takes the listener off again.
  on(topic, listener) {
    if (!this.#listeners.has(topic)) this.#listeners.set(topic, new Set());
    this.#listeners.get(topic).add(listener);
    return () => this.#listeners.get(topic).delete(listener);
  }

  emit(topic, value) {
    for (const listener of this.#listeners.get(topic) ?? []) {
      try {
        listener(value);
      } catch (problem) {
        // One widget that fails must not take the others with it.
        reportError(problem);
      }
    }
  }
}
