// How a request can fail, with the same colours on all pages.

/** @type {(name: string) => [string, string]} */
const rateOf = (name) => [`inference.${name}`, "rate"];

export const FAILURES = [
  { label: "client error", colour: "part-1", metric: rateOf("client_errors") },
  { label: "rate-limited", colour: "part-2", metric: rateOf("rate_limited") },
  { label: "timeout", colour: "part-3", metric: rateOf("timeouts") },
  { label: "cancelled", colour: "part-4", metric: rateOf("cancelled") },
  { label: "server error", colour: "critical", metric: rateOf("server_errors") },
];
