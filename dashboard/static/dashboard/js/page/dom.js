// Helpers for the document. Nothing here writes a style attribute, because the Content-Security-Policy forbids it.

/** @type {(selector: string, root?: ParentNode) => any} The kind of element is known to the caller. */
export const find = (selector, root = document) => root.querySelector(selector);
/** @type {(selector: string, root?: ParentNode) => any[]} */
export const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

// Create an element: element("b", { class: "x", on: { click } }, "text", otherElement). Null children are omitted.
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  setAttributes(node, attributes);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(node, attributes);
  node.append(...children);
  return node;
}

function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
}

// Set the text only where it differs: replacing it each second would clear the user's selection.
export function setText(node, value) {
  if (node && node.textContent !== value) node.textContent = value;
}

// The data that the template embedded with `json_script`.
/** @returns {any} */
export function embeddedJson(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

export function cookie(name) {
  const pair = document.cookie.split("; ").find((text) => text.startsWith(`${name}=`));
  return pair ? decodeURIComponent(pair.slice(name.length + 1)) : null;
}

// Call `search` when the user has stopped typing for a moment.
export function whenTyped(input, search, delayMs = 200) {
  /** @type {ReturnType<typeof setTimeout>} */
  let timer = null;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, delayMs);
  });
}

// A part of the page with the focus in it is not drawn again.
export const releaseFocus = () => document.activeElement instanceof HTMLElement && document.activeElement.blur();

export const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
export const isPhone = () => matchMedia("(max-width: 720px)").matches;
