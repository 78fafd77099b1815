// The buttons that create demo data, where there is nothing to show and in the help, and the places that say what is missing.

import { demoStart, demoState } from "../page/api.js";
import { find, findAll, setText } from "../page/dom.js";

const POLL_MS = 700;
const RELOAD_MS = 3_000; // while older days are filled in; each reload takes time from them

export function mountDemoOffers(page) {
  const offers = findAll("[data-demo-offer]");
  const missing = find("[data-nothing-yet]");
  let creating = false;
  const draw = () => {
    if (missing) missing.hidden = !page.data.is_empty;
    for (const offer of offers) offer.hidden = !creating && Boolean(page.data.demo?.present);
    const there = find("[data-demo-there]");
    if (there) there.hidden = !page.data.demo?.present;
  };
  const show = (text, percent = null) => {
    for (const offer of offers) {
      setText(find("[data-demo-text]", offer), text);
      find("[data-demo-start]", offer).disabled = percent !== null;
      find("[data-demo-progress]", offer).hidden = percent === null;
      find("[data-demo-progress]", offer).value = percent ?? 0;
    }
    page.topics.emit("demo-progress", percent);
  };
  const create = async () => {
    if (creating) return;
    creating = true;
    let outcome = find("[data-demo-text]").textContent;
    try {
      await createDemo(page, (percent) => show(`Creating a week of demo data… ${percent} %`, percent));
    } catch (problem) {
      outcome = `The demo data could not be created: ${problem.message}`;
    }
    creating = false;
    show(outcome);
    draw();
  };
  for (const offer of offers) find("[data-demo-start]", offer).addEventListener("click", create);
  find("[data-demo-remove]")?.addEventListener("click", () => {
    /** @type {HTMLDialogElement} */ (find("#help-dialog")).close();
    find("#demo-remove").click();
  });
  for (const topic of ["data", "figures"]) page.topics.on(topic, draw);
  draw();
}

// Start the demo and show its progress. The page shows the newest data as soon as there is some.
async function createDemo(page, showProgress) {
  const load = () => page.load({ quiet: !page.pause }); // also a paused page shows the data
  showProgress(0);
  let state = await demoStart();
  let wasPresent = state.present;
  let loadedAt = -Infinity;
  while (!state.present || (state.running && (state.progress_percent ?? 100) < 100)) {
    showProgress(state.progress_percent ?? 0);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    state = await demoState();
    if (state.removing || (!state.running && wasPresent)) break; // another user removes it
    if (state.present && performance.now() - loadedAt > RELOAD_MS) {
      await load();
      loadedAt = performance.now();
    }
    wasPresent ||= state.present;
    if (!state.running && !state.present) throw new Error("the demo stopped before it created any data. See the server log.");
  }
  await load();
}
