// What stands between the header and the page: demo data, a lost connection, what was ignored or is only partly known.

import { demoRemove, signInUrl } from "../api.js";
import { element, find, setText } from "../dom.js";

const PATIENCE_MS = 1_500; // a connection that is back at once is not worth a banner

export function mount(page, live) {
  mountDemo(page);
  mountConnection(page, live);
  const list = find("#page-notices");
  const draw = () => list.replaceChildren(...notices(page));
  for (const topic of ["data", "figures", "problem", "loading"]) page.topics.on(topic, draw);
  draw();
}

function notices(page) {
  const found = [];
  const { history, summary } = page.data;
  if (page.problem) {
    const said = page.problem.status === 401
      ? [page.problem.message, " ", element("a", { href: signInUrl() }, "Sign in")]
      : [`The page could not be read anew: ${page.problem.message}`, page.problem.requestId ? ` (request ${page.problem.requestId})` : ""];
    found.push(banner("critical", said, "Try again", () => page.load()));
  }
  if (page.loading === "slow") {
    const models = page.filters.model?.length ?? page.data.options?.model?.length ?? 0;
    found.push(banner("", [`Still loading: ${page.params.span.replace(/^the /, "")} over ${models} models.`], "Cancel", () => page.cancel()));
  }
  for (const words of page.data.notices ?? []) found.push(banner("warning", [words]));
  const partial = history?.partial ?? summary?.partial;
  if (partial) found.push(banner("", [partial]));
  if (page.hasEvents && page.isFiltered && !summary.total_requests) found.push(noMatch(page));
  return found;
}

function noMatch(page) {
  const names = ["model", "provider"].filter((name) => page.filters[name]);
  if (!names.length) return banner("", ["No request in this window."], "Clear all filters", () => page.clearFilters());
  const said = names.map((name) => `${name} = ${page.filters[name].join(" or ")}`).join(", ");
  return banner("", [`No requests match ${said} in ${page.params.span}.`], `Drop ${names[0]}`, () => page.go({ filters: { [names[0]]: [] } }));
}

function banner(kind, said, action, act) {
  return element("div", { class: `banner ${kind}`, role: "status" }, element("span", {}, ...said),
    action ? element("button", { type: "button", class: "button", on: { click: act } }, action) : null);
}

function mountDemo(page) {
  const target = find("#demo-banner");
  const button = find("#demo-remove", target);
  const draw = () => {
    target.hidden = !page.data.demo?.present;
  };
  page.topics.on("data", draw);
  button?.addEventListener("click", async () => {
    button.disabled = true;
    setText(button, "Removing…");
    try {
      await demoRemove();
      await page.load();
    } catch (problem) {
      setText(find(".banner-words", target), `That did not work: ${problem.message}`);
    } finally {
      button.disabled = false;
      setText(button, "Remove demo data");
    }
  });
}

function mountConnection(page, live) {
  const target = find("#connection-banner");
  let since = null;
  const draw = () => {
    const { state, detail } = page.connection;
    if (state === "refused") {
      target.hidden = false;
      target.className = "banner critical";
      const { words, signIn } = live.refusal;
      target.replaceChildren(element("span", {}, words), signIn ? element("a", { href: signIn }, "Sign in and come back here") : "");
      return;
    }
    if (state !== "disconnected") {
      since = null;
      target.hidden = true;
      return;
    }
    since ??= performance.now();
    if (performance.now() - since < PATIENCE_MS) return;
    const wait = live.retryAt === null ? null : Math.max(0, Math.ceil((live.retryAt - performance.now()) / 1000));
    const words = `Disconnected. What is shown is ${detail}. ${wait === null ? "Trying now…" : `Next try in ${wait} s.`}`;
    target.className = "banner critical";
    if (target.hidden || !find("span", target) || !find("button", target)) {
      target.replaceChildren(element("span", {}, words), element("button", { type: "button", class: "button", on: { click: () => live.retry() } }, "Retry now"));
    } else {
      setText(find("span", target), words);
    }
    target.hidden = false;
  };
  page.topics.on("connection", draw);
  page.topics.on("second", draw);
}
