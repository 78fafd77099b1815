// What a person does with an alert: acknowledge and silence. Who may not is sent to the login page, which returns to the
// same action: the address has the alert and what was to be done.

import { acknowledgeAlert, addSilence, endSilence as endOnServer, signInUrl } from "../page/api.js";
import { announce } from "../page/announce.js";
import { hourAndMinute } from "../page/format.js";
import { instantsOf, localTime } from "../page/local-time.js";
import { groupText, length } from "./words.js";

const MORNING_HOUR = 9;
const DAY_MS = 86_400_000;
export const DEFAULT_SILENCE = { seconds: 3600 };
export const SILENCES = [
  { name: "30 min", seconds: 1800 },
  { name: "4 h", seconds: 14_400 },
  { name: "until 09:00", untilHour: MORNING_HOUR },
  { name: "while it fires", whileFiring: true },
];

// Do it, and show the new state. `show(problem)`: where it is refused.
export async function acknowledge(page, alert, note, show) {
  await act(page, { acknowledge: alert.id, note }, show, () => acknowledgeAlert(alert.id, note), `${alert.name} acknowledged.`);
}

export async function silence(page, alert, choice, reason, show) {
  const { matchers, ends_at: end } = silenceOf(alert, choice, page.now());
  const until = end ? ` until ${hourAndMinute(Date.parse(end))}` : " while it fires";
  const body = { matchers, ends_at: end, reason: reason || `Silenced${choice.seconds ? ` for ${length(choice.seconds)}` : until}` };
  await act(page, { silence: alert.id, note: reason }, show, () => addSilence(body), `${alert.name} silenced${until}.`);
}

// A silence that a person has described. Resolves to whether it was created.
export const addFreely = (page, body, show) => act(page, {}, show, () => addSilence(body), "Silenced.");

export const endSilence = (page, { id }, show) => act(page, {}, show, () => endOnServer(id), "The silence has ended.");

// The silence of an alert's rule and group, or of this alert alone.
export function silenceOf(alert, { seconds, untilHour, whileFiring }, now) {
  if (whileFiring) return { matchers: { alert: [String(alert.id)] }, ends_at: null };
  const end = seconds ? now + seconds * 1000 : next(untilHour, now);
  const labels = Object.fromEntries(Object.entries(alert.labels).map(([name, value]) => [name, [value]]));
  return { matchers: { rule: [alert.rule], ...labels }, ends_at: new Date(end).toISOString() };
}

// The next instant at which the clocks show this hour.
function next(hour, now) {
  const local = Math.floor(localTime(now) / DAY_MS) * DAY_MS + hour * 3_600_000;
  return [0, 1, 2].flatMap((days) => instantsOf(local + days * DAY_MS)).find((instant) => instant > now);
}

// Resolves to whether it was done.
async function act(page, action, show, request, done) {
  if (!page.data.can.includes("operate")) {
    signIn(action);
    return false;
  }
  try {
    await request();
    announce(done);
    await page.refresh();
    return true;
  } catch (problem) {
    if ([401, 403].includes(problem.status)) signIn(action);
    else show(problem.message);
    return false;
  }
}

function signIn(action) {
  const search = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(action)) if (value) search.set(name, value);
  location.assign(signInUrl(`?${search}`));
}

// The action in the address, {id, name, note}, after which the address is without it; null where there is none.
export function takeAction() {
  const search = new URLSearchParams(location.search);
  const name = ["acknowledge", "silence"].find((action) => search.has(action));
  if (!name) return null;
  const action = { id: Number(search.get(name)), name, note: search.get("note") ?? "" };
  for (const parameter of [name, "note"]) search.delete(parameter);
  history.replaceState(history.state, "", search.size ? `?${search}` : location.pathname);
  return action;
}

export const describe = (alert) => [alert.name, groupText(alert.labels)].filter(Boolean).join(", ");
