// The banners between the header and the content: demo data, a lost connection, ignored parameters, partial data.

import { Problem, demoRemove, demoStart, demoState, signInUrl } from "../page/api.js";
import { element, find, setText } from "../page/dom.js";

const POLL_MS = 1_000;
const BANNER_AFTER_MS = 1_500; // a connection that returns sooner needs no banner

export function mountNotices(page, connection) {
  mountDemoBanner(page);
  mountConnectionBanner(page, connection);
  const list = find("#page-notices");
  const draw = () => list.replaceChildren(...notices(page));
  for (const topic of ["data", "figures", "problem", "loading"]) page.topics.on(topic, draw);
  draw();
}

function notices(page) {
  const banners = [];
  const { history, summary } = page.data;
  if (page.problem) banners.push(problemBanner(page));
  if (page.loading === "slow") {
    const models = page.filters.model?.length ?? page.data.options?.model?.total ?? 0;
    const text = `Still loading the data of ${models} model${models === 1 ? "" : "s"} for ${page.params.span}.`;
    banners.push(banner("", [text], "Cancel", () => page.cancel()));
  }
  for (const text of page.data.notices ?? []) banners.push(banner("warning", [text]));
  const partial = history?.partial ?? summary?.partial;
  if (partial) banners.push(banner("", [partial]));
  if (page.hasEvents && page.isFiltered && summary?.total_requests === 0) banners.push(noMatchBanner(page));
  return banners;
}

function problemBanner(page) {
  const { message, requestId, status } = page.problem;
  const content = status === 401
    ? [message, " ", element("a", { href: signInUrl() }, "Sign in")]
    : [`The page could not be refreshed: ${message}`, requestId ? ` (request ${requestId})` : ""];
  return banner("critical", content, "Try again", () => page.load());
}

function noMatchBanner(page) {
  const names = Object.keys(page.settings.filters).filter((name) => name !== "host" && page.filters[name]);
  if (!names.length) return banner("", ["No requests in this time range."], "Clear all filters", () => page.clearFilters());
  const key = (name) => name.replace(/^tag\./, "");
  const filters = names.map((name) => `${key(name)} = ${page.filters[name].join(" or ")}`).join(", ");
  const [name] = names;
  return banner("", [`No requests match ${filters} in ${page.params.span}.`], `Remove the ${key(name)} filter`,
    () => page.navigate({ filters: { [name]: [] } }));
}

function banner(kind, content, action, onClick) {
  return element("div", { class: `banner ${kind}`, role: "status" }, element("span", {}, ...content),
    action ? element("button", { type: "button", class: "button", on: { click: onClick } }, action) : null);
}

function mountDemoBanner(page) {
  const target = find("#demo-banner");
  const text = find(".banner-text", target);
  const button = find("#demo-remove", target);
  const continueButton = find("#demo-continue", target);
  const defaultText = target.dataset.running;
  let removing = false;
  let present = null;
  let wasStopped = null;
  const draw = () => {
    const wasPresent = present;
    present = Boolean(page.data.demo?.present);
    target.hidden = !present && !removing;
    const stopped = present && Boolean(page.data.demo.stopped);
    if (stopped !== wasStopped && !removing) setText(text, stopped ? target.dataset.stopped : defaultText);
    if (continueButton) continueButton.hidden = !stopped || removing;
    wasStopped = stopped;
    // The demo data was removed elsewhere: reload, so that the charts do not show it any more.
    if (wasPresent && !present && !removing) page.load({ quiet: true });
  };
  const remove = async (request) => {
    if (removing) return;
    removing = true;
    if (button) button.hidden = true;
    if (continueButton) continueButton.hidden = true;
    setText(text, "Removing the demo data…");
    let outcome = defaultText;
    try {
      await waitUntilRemoved(request);
    } catch (problem) {
      outcome = `The demo data could not be removed: ${problem.message}`;
    }
    await page.load();
    removing = false;
    if (button) button.hidden = false;
    setText(text, outcome);
    draw();
  };
  const resume = async () => {
    continueButton.disabled = true;
    try {
      await demoStart();
      await page.load({ quiet: true });
    } catch (problem) {
      setText(text, `The demo could not be continued: ${problem.message}`);
    } finally {
      continueButton.disabled = false;
    }
  };
  for (const topic of ["data", "figures"]) page.topics.on(topic, draw);
  page.topics.on("demo-progress", (percent) => {
    if (!removing) setText(text, percent === null ? defaultText : `Generated data. Older days are added: ${percent} %.`);
  });
  continueButton?.addEventListener("click", resume);
  button?.addEventListener("click", () => remove(demoRemove));
  draw();
  // A removal may already be running, started on another page or before a reload of this one.
  if (present) demoState().then((state) => state.removing && remove(demoState), () => {});
}

// Poll the state of the removal, which may take long, until it ends. Throws a Problem where it did not succeed.
async function waitUntilRemoved(request) {
  let state = await request();
  while (state.removing) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    try {
      state = await demoState();
    } catch (problem) {
      if (problem.status) throw problem; // without a status the server is unreachable, perhaps for a moment
    }
  }
  if (state.present) throw new Problem(0, "the removal stopped early. See the server log.");
}

function mountConnectionBanner(page, connection) {
  const target = find("#connection-banner");
  let since = null;
  const draw = () => {
    const { state, detail } = page.connection;
    if (state === "rejected") {
      target.hidden = false;
      target.className = "banner critical";
      const { text, signInUrl: url } = connection.rejection;
      target.replaceChildren(element("span", {}, text), url ? element("a", { href: url }, "Sign in and return to this page") : "");
      return;
    }
    if (state !== "disconnected") {
      since = null;
      target.hidden = true;
      return;
    }
    since ??= performance.now();
    if (performance.now() - since < BANNER_AFTER_MS) return;
    const retryAt = connection.nextAttemptAt;
    const delay = retryAt === null ? 0 : Math.ceil((retryAt - performance.now()) / 1000);
    const text = `Disconnected. The page shows ${detail}. ${delay > 0 ? `Next attempt in ${delay} s.` : "Connecting…"}`;
    target.className = "banner critical";
    if (target.hidden || !find("span", target) || !find("button", target)) {
      const retry = element("button", { type: "button", class: "button", on: { click: () => connection.retry() } }, "Retry now");
      target.replaceChildren(element("span", {}, text), retry);
    } else {
      setText(find("span", target), text);
    }
    target.hidden = false;
  };
  page.topics.on("connection", draw);
  page.topics.on("second", draw);
}
