// A choice of a few views in the head of a card, such as lin | log. The address keeps it, so that a link shows the same.

import { parameter, replaceAddress } from "../page/address.js";
import { element, find } from "../page/dom.js";

// Add the switch to the head of the card `root`, and return {value}, the name of the chosen view. `name`: the parameter in
// the address, which is absent for the first of `options`, [{name, label, title}]. `onChange(value)` is called for each
// change, also by the user's "back".
export function mountSwitch(root, { name, label, options, onChange }) {
  const names = options.map((option) => option.name);
  const read = () => {
    const value = parameter(name);
    return names.includes(value) ? value : names[0];
  };
  const state = { value: read() };
  const buttons = options.map((option) => element("button", {
    type: "button", class: "segment", title: option.title, on: { click: () => choose(option.name) },
  }, option.label));
  const show = () => buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(names[index] === state.value)));
  const change = (value) => {
    if (value === state.value) return;
    state.value = value;
    show();
    onChange(value);
  };
  const choose = (value) => {
    replaceAddress({ set: { [name]: value === names[0] ? null : value } });
    change(value);
  };
  window.addEventListener("popstate", () => change(read()));
  show();
  find(".card-end", root).prepend(element("div", { class: "segmented card-switch", role: "group", "aria-label": label }, ...buttons));
  return state;
}
