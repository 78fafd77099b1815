// The control of the sound in the bell's panel, the pill while it is blocked, and the key that mutes it.

import { announce } from "../page/announce.js";
import { find, findAll, setText } from "../page/dom.js";
import { duration, text } from "../page/format.js";

export function mountSoundControl(page, sound) {
  const panel = find("#bell-panel");
  const toggle = find("#sound-switch");
  const muted = find("#sound-muted");
  const draw = () => {
    const { isOn, isBlocked, mutedMs } = sound;
    toggle.setAttribute("aria-checked", String(isOn));
    setText(find("#sound-word"), isOn ? "on" : "off");
    find("#sound-blocked").hidden = find("#sound-blocked-note").hidden = !isBlocked;
    muted.hidden = !isOn || !mutedMs;
    if (mutedMs) setText(find("strong", muted), `Muted for ${text(duration(Math.max(1_000, mutedMs)))} more.`);
    find("#sound-hint-off").hidden = isOn;
    find("#sound-hint-on").hidden = !isOn || !muted.hidden;
  };
  toggle.addEventListener("click", () => {
    sound.isOn = !sound.isOn;
  });
  for (const button of findAll("[data-sound]", panel)) button.addEventListener("click", () => sound.test(button.dataset.sound));
  find("#sound-unmute").addEventListener("click", () => sound.mute(false));
  page.topics.on("mute", () => {
    if (!sound.isOn) return announce("The alert sound is off.");
    sound.mute(!sound.mutedMs);
    announce(sound.mutedMs ? "The alert sound is muted for 30 minutes." : "The alert sound is on again.");
  });
  for (const topic of ["sound", "second"]) page.topics.on(topic, draw);
  draw();
}
