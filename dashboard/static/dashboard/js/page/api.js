// Calls of the server. A failure becomes a Problem with words that can be shown.

import { cookie } from "./dom.js";

export class Problem extends Error {
  constructor(status, detail, more = {}) {
    super(detail);
    this.status = status;
    this.requestId = more.request_id ?? null;
    this.retryAfter = more.retry_after ?? null;
  }
}

export async function call(path, { method = "GET", signal } = {}) {
  const headers = { Accept: "application/json" };
  const options = { method, signal, headers, credentials: "same-origin", redirect: "manual" };
  if (method !== "GET") {
    headers["Content-Type"] = "application/json";
    headers["X-CSRFToken"] = cookie("llmmonitor_csrf") ?? "";
    if (method === "POST") options.body = "{}";
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    throw new Problem(0, "The server does not respond.");
  }
  // The gate sends those who are signed out to the login page; a redirect that is not followed has no status.
  if (answer.type === "opaqueredirect" || answer.status === 401) throw new Problem(401, "You are signed out.");
  const body = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return body;
  const retry = Number(answer.headers.get("Retry-After")) || null;
  throw new Problem(answer.status, body?.detail ?? `The server responded with status ${answer.status}.`, { ...body, retry_after: retry });
}

export const pageData = (search, signal) => call(`/dashboard/data/overview${search}`, { signal });
export const pageFigures = (search, signal) => call(`/dashboard/data/overview/figures${search}`, { signal });
export const currentTick = (signal) => call("/metrics/current", { signal });
export const demoState = () => call("/demo");
export const demoStart = () => call("/demo", { method: "POST" });
export const demoRemove = () => call("/demo", { method: "DELETE" });

export const signInUrl = () => `/login/?next=${encodeURIComponent(location.pathname + location.search)}`;
