// What notifies people of alerts on every page: bell, toasts, sound, browser notifications, title of the tab.

import { mountBell } from "./bell.js";
import { mountNotificationControl, notify } from "./browser-notification.js";
import { OpenAlerts } from "./open-alerts.js";
import { mountSoundControl } from "./sound-control.js";
import { AlertSound } from "./sound.js";
import { mountTabTitle } from "./tab-title.js";
import { mountToasts } from "./toasts.js";

export function mountAlerting(page) {
  const alerts = new OpenAlerts(page);
  const sound = new AlertSound(page);
  mountBell(page, alerts);
  mountSoundControl(page, sound);
  mountNotificationControl();
  mountTabTitle(page, alerts);
  mountToasts(page, alerts);
  page.topics.on("firing", ({ arrived }) => {
    if (!arrived.length) return;
    notify(arrived);
    sound.ring(arrived, ({ id }) => alerts.needingAttention.some((alert) => alert.id === id));
  });
  alerts.read();
}
