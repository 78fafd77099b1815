// The card of a new installation: a command that sends the first event, and a button that creates demo data.

import { demoStart, demoState } from "../page/api.js";
import { mountCopy } from "../page/copy.js";
import { find, setText } from "../page/dom.js";
import { minutesAndSeconds } from "../page/format.js";

const SHOW_CAUSES_AFTER_SECONDS = 60;
const POLL_MS = 700;

export function mount(root, page) {
  const openedAt = performance.now();
  const text = find("#listening-text", root);
  page.topics.on("second", () => {
    if (page.hasEvents) return;
    const seconds = (performance.now() - openedAt) / 1000;
    setText(text, `no event yet (${minutesAndSeconds(seconds)})`);
    find("#causes", root).hidden = seconds < SHOW_CAUSES_AFTER_SECONDS;
  });
  mountCopy(find("#copy-snippet", root), find("#snippet", root), "Command");
  const button = find("#demo-show", root);
  button?.addEventListener("click", () => createDemo(root, page, button));
}

// Start the demo and show its progress. The page shows the first data as soon as there is some.
async function createDemo(root, page, button) {
  const text = find("#demo-text", root);
  const defaultText = text.textContent;
  const load = () => page.load({ quiet: !page.pause }); // also a paused page shows the data
  const progress = find("#demo-progress", root);
  const showProgress = (percent) => {
    progress.value = percent;
    setText(text, `Creating a week of demo data… ${percent} %`);
  };
  button.disabled = true;
  progress.hidden = false;
  showProgress(0);
  try {
    let state = await demoStart();
    let wasPresent = state.present;
    while (!page.hasEvents || (state.running && (state.progress_percent ?? 100) < 100)) {
      showProgress(state.progress_percent ?? 0);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      state = await demoState();
      if (state.removing || (!state.running && wasPresent)) break; // another user removes it
      if (state.present || !state.running) await load();
      wasPresent ||= state.present;
      if (!state.running && !state.present) throw new Error("the demo stopped before it created any data. See the server log.");
    }
    await load();
    setText(text, defaultText);
  } catch (problem) {
    setText(text, `The demo data could not be created: ${problem.message}`);
  } finally {
    button.disabled = false;
    progress.hidden = true;
  }
}
