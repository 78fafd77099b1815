// What stands between the header and the page: demo data, a lost connection, what was ignored or is only partly known.

import { Problem, demoRemove, demoState, signInUrl } from "./api.js";
import { element, find, setText } from "./dom.js";

const ASK_AGAIN_MS = 1_000;
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
      : [`The page could not be refreshed: ${page.problem.message}`, page.problem.requestId ? ` (request ${page.problem.requestId})` : ""];
    found.push(banner("critical", said, "Try again", () => page.load()));
  }
  if (page.loading === "slow") {
    const models = page.filters.model?.length ?? page.data.options?.model?.length ?? 0;
    found.push(banner("", [`Still loading the data of ${models} model${models === 1 ? "" : "s"} for ${page.params.span}.`], "Cancel", () => page.cancel()));
  }
  for (const words of page.data.notices ?? []) found.push(banner("warning", [words]));
  const partial = history?.partial ?? summary?.partial;
  if (partial) found.push(banner("", [partial]));
  if (page.hasEvents && page.isFiltered && !summary.total_requests) found.push(noMatch(page));
  return found;
}

function noMatch(page) {
  const names = ["model", "provider"].filter((name) => page.filters[name]);
  if (!names.length) return banner("", ["No requests in this time range."], "Clear all filters", () => page.clearFilters());
  const said = names.map((name) => `${name} = ${page.filters[name].join(" or ")}`).join(", ");
  return banner("", [`No requests match ${said} in ${page.params.span}.`], `Remove the ${names[0]} filter`, () => page.go({ filters: { [names[0]]: [] } }));
}

function banner(kind, said, action, act) {
  return element("div", { class: `banner ${kind}`, role: "status" }, element("span", {}, ...said),
    action ? element("button", { type: "button", class: "button", on: { click: act } }, action) : null);
}

function mountDemo(page) {
  const target = find("#demo-banner");
  const words = find(".banner-words", target);
  const button = find("#demo-remove", target);
  const usual = words.textContent;
  let removing = false;
  let present = null;
  const draw = () => {
    const before = present;
    present = Boolean(page.data.demo?.present);
    target.hidden = !present && !removing;
    // Removed meanwhile, by whomever: what the charts still show of it goes at once.
    if (before && !present && !removing) page.load({ quiet: true });
  };
  const remove = async (ask) => {
    if (removing) return;
    removing = true;
    if (button) button.hidden = true;
    setText(words, "Removing the demo data…");
    let said = usual;
    try {
      await until(ask);
    } catch (problem) {
      said = `The demo data could not be removed: ${problem.message}`;
    }
    await page.load();
    removing = false;
    if (button) button.hidden = false;
    setText(words, said);
    draw();
  };
  for (const topic of ["data", "figures"]) page.topics.on(topic, draw);
  button?.addEventListener("click", () => remove(demoRemove));
  draw();
  // Perhaps it is being removed already: another page's button, or this one's before it was loaded anew.
  if (present) demoState().then((state) => state.removing && remove(demoState), () => {});
}

// The removal takes as long as it takes: its state is asked for each second. Raises a Problem when it did not end well.
async function until(ask) {
  let state = await ask();
  while (state.removing) {
    await new Promise((done) => setTimeout(done, ASK_AGAIN_MS));
    try {
      state = await demoState();
    } catch (problem) {
      if (problem.status) throw problem; // without one the server does not answer just now
    }
  }
  if (state.present) throw new Problem(0, "the removal stopped early. See the server log.");
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
      target.replaceChildren(element("span", {}, words), signIn ? element("a", { href: signIn }, "Sign in and return to this page") : "");
      return;
    }
    if (state !== "disconnected") {
      since = null;
      target.hidden = true;
      return;
    }
    since ??= performance.now();
    if (performance.now() - since < PATIENCE_MS) return;
    const next = live.nextTryAt;
    const wait = next === null ? 0 : Math.ceil((next - performance.now()) / 1000);
    const words = `Disconnected. The page shows ${detail}. ${wait > 0 ? `Next attempt in ${wait} s.` : "Connecting…"}`;
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
