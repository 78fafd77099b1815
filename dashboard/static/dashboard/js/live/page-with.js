// The page as a part of it sees it.

// `own`: name → function that returns the property in place of that of the page.
/** @param {import("./page.js").Page} page
 *  @param {Record<string, () => any>} own
 *  @returns {import("./page.js").Page} */
export function pageWith(page, own) {
  return new Proxy(page, {
    get(target, name) {
      if (Object.hasOwn(own, name)) return own[String(name)]();
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}
