// Requests to the server. An error becomes a Problem, whose message can be shown. The addresses are attributes of the
// page's <body>, because the server may have a path prefix.

import { cookie } from "./dom.js";

export class Problem extends Error {
  constructor(status, detail, requestId = null) {
    super(detail);
    this.status = status; // 0 where there was no response
    this.requestId = requestId;
  }
}

/** @param {string} path
 *  @param {{ method?: string, body?: object, signal?: AbortSignal, headers?: Record<string, string> }} [options] */
async function call(path, { method = "GET", body: sent = {}, signal, headers: more = {} } = {}) {
  const headers = { Accept: "application/json", ...more };
  /** @type {RequestInit} */
  const options = { method, signal, headers, credentials: "same-origin", redirect: "manual" };
  if (method !== "GET") {
    headers["Content-Type"] = "application/json";
    headers["X-CSRFToken"] = cookie(urls().csrfCookie) ?? "";
    if (method === "POST") options.body = JSON.stringify(sent);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    throw new Problem(0, "The server does not respond.");
  }
  // A user who is signed out is redirected to the login page. A redirect that is not followed has no status.
  if (response.type === "opaqueredirect" || response.status === 401) throw new Problem(401, "You are signed out.");
  const body = response.status === 204 ? null : await response.json().catch(() => null);
  if (response.ok) return body;
  throw new Problem(response.status, body?.detail ?? `The server responded with status ${response.status}.`, body?.request_id);
}

const urls = () => document.body.dataset;

// The page of one model has its name in the path.
const withOpened = (search) => {
  const { open } = urls();
  if (!open) return search;
  const parameters = new URLSearchParams(search);
  parameters.set("open", open);
  return `?${parameters}`;
};
// The server omits the tables that the page has. `versions`: {name: version} of those.
const known = (versions = {}) => ({ "Known-Tables": Object.entries(versions).map((pair) => pair.join(":")).join(" ") });
export const pageData = (search, versions, signal) => call(urls().pageDataUrl + withOpened(search), { signal, headers: known(versions) });
export const pageFigures = (search, versions) => call(urls().pageFiguresUrl + withOpened(search), { headers: known(versions) });
// Search on the server, where the page holds the busiest only. `search` is that of the page's address.
const withText = (search, text) => {
  const parameters = new URLSearchParams(search);
  parameters.set("search", text);
  return `?${parameters}`;
};
export const findModels = (search, text) => call(urls().modelsUrl + withText(search, text));
export const findChoices = (search, text) => call(urls().choicesUrl + withText(search, text));
export const resourceHeatmap = (search) => call(`${urls().heatmapUrl}?${search}`);
export const machineUrl = (host) => `${urls().machinesUrl}?${new URLSearchParams({ host })}`;
// What the text of the search of the Requests page means: {parameters, problems}.
export const findSearch = (text) => call(`${urls().requestsSearchUrl}?${new URLSearchParams({ text })}`);
export const requestDetail = (id) => call(urls().requestDrawerUrl.replace(/0$/, id));
export const currentTick = () => call(urls().currentUrl);
export const firingAlerts = () => call(`${urls().alertsUrl}?state=firing`);
export const acknowledgeAlert = (id, note) => call(`${urls().alertsUrl}/${id}/acknowledge`, { method: "POST", body: { note } });
export const addSilence = (silence) => call(`${urls().alertsUrl}/silences`, { method: "POST", body: silence });
export const endSilence = (id) => call(`${urls().alertsUrl}/silences/${id}/end`, { method: "POST" });
export const addRule = (rule) => call(`${urls().alertsUrl}/rules`, { method: "POST", body: rule });
export const addAnnotation = (annotation) => call(urls().annotationsUrl, { method: "POST", body: annotation });
export const deleteAnnotation = (id) => call(`${urls().annotationsUrl}/${id}`, { method: "DELETE" });
export const exportUrl = (kind, search) => `${urls().exportUrl.replace("history.csv", kind)}?${search}`;
export const exportHistory = (search) => call(exportUrl("history.json", search));
export const demoState = () => call(urls().demoUrl);
export const demoStart = () => call(urls().demoUrl, { method: "POST" });
export const arrivedSince = (position) => call(`${urls().arrivedUrl}?${new URLSearchParams(position)}`);
export const makeKey = () => call(urls().connectKeyUrl, { method: "POST" });
export const demoRemove = () => call(urls().demoUrl, { method: "DELETE" });

export const liveUrl = () => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${urls().liveUrl}`;
// The login page, which returns to this page; `search`: with these parameters.
export const signInUrl = (search = location.search) => `${urls().loginUrl}?next=${encodeURIComponent(location.pathname + search)}`;
export const adminUrl = (path) => urls().adminUrl + path;
export const rulesAdminUrl = (rest = "") => adminUrl(`alerts/alertrule/${rest}`);
export const requestsPageUrl = () => urls().requestsPageUrl;
// As dashboard/models/address.py has it. `search`: "?range=1h", or empty.
export const modelPageUrl = (name, search = "") => ([".", ".."].includes(name)
  ? `${urls().modelsPageUrl}?${new URLSearchParams({ open: name })}${search.replace("?", "&")}`
  : `${urls().modelsPageUrl}${encodeURIComponent(name)}/${search}`);
