// Sound and notifications of this browser: the same controls as in the panel of the bell.

import { find, setText } from "../page/dom.js";

export function mount(root, page) {
  const control = find("#sound-switch");
  const notifications = find("#notifications");
  const draw = () => {
    const isOn = control.getAttribute("aria-checked") === "true";
    setText(find("[data-sound-state]", root), isOn ? "on" : "off");
    setText(find("[data-sound-toggle]", root), isOn ? "Turn off" : "Turn on");
    const button = find("[data-notifications]", root);
    setText(button, notifications.textContent);
    button.disabled = notifications.disabled;
    button.title = notifications.title;
    setText(find("[data-notifications-state]", root), { "Turn off": "on", "Turn on": "off", "Allow…": "not asked" }[notifications.textContent] ?? "");
  };
  find("[data-sound-toggle]", root).addEventListener("click", () => control.click());
  find("[data-sound-test]", root).addEventListener("click", () => find('#bell-panel [data-sound="critical"]').click());
  find("[data-notifications]", root).addEventListener("click", () => notifications.click());
  new MutationObserver(draw).observe(notifications, { childList: true, attributes: true });
  for (const topic of ["sound", "second"]) page.topics.on(topic, draw);
  draw();
}
