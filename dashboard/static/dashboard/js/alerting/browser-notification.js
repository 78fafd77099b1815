// Notifications of the browser, for alerts that arrive while the page is not in view. They are allowed at the press of a
// button, never on load.

import { groupText } from "../alerts/words.js";
import { find, setText } from "../page/dom.js";
import { GLYPHS } from "../page/severities.js";
import { recall, remember } from "../page/storage.js";
import { condition } from "./messages.js";

const ON = "llmmonitor.alert-notifications";

const isSupported = () => "Notification" in window && window.isSecureContext;
const isOn = () => isSupported() && Notification.permission === "granted" && recall(ON, false);

export function mountNotificationControl() {
  const button = find("#notifications");
  const draw = () => {
    const permission = isSupported() ? Notification.permission : "unsupported";
    button.disabled = ["denied", "unsupported"].includes(permission);
    setText(button, { granted: isOn() ? "Turn off" : "Turn on", denied: "Blocked", unsupported: "Needs HTTPS" }[permission] ?? "Allow…");
    button.title = permission === "denied" ? "The settings of the browser for this site can allow them again." : "";
  };
  button.addEventListener("click", async () => {
    if (Notification.permission === "granted") remember(ON, !isOn());
    else remember(ON, (await Notification.requestPermission()) === "granted");
    draw();
  });
  draw();
}

export function notify(alerts) {
  if (!isOn() || (document.visibilityState === "visible" && document.hasFocus())) return;
  for (const alert of alerts.slice(0, 3)) {
    try {
      // The tag: several tabs show one notification.
      const body = `${groupText(alert.labels)}: ${condition(alert)}\n${location.host}`;
      const shown = new Notification(`${GLYPHS[alert.severity]} ${alert.name}`, { body, tag: `llmmonitor-${alert.id}` });
      shown.addEventListener("click", () => {
        window.focus();
        shown.close();
      });
    } catch {
      return; // phones show notifications of service workers only
    }
  }
}
