// The first minutes: a line to paste, a listening ear, and the offer of demo data.

import { announce } from "../page/announce.js";
import { demoStart, demoState } from "../page/api.js";
import { find, setText } from "../page/dom.js";
import { minutesAndSeconds } from "../page/format.js";

const CAUSES_AFTER_SECONDS = 60;
const ASK_AGAIN_MS = 700;

export function mount(root, page) {
  if (!root) return;
  const opened = performance.now();
  const words = find("#listening-words", root);
  page.topics.on("second", () => {
    if (page.hasEvents) return;
    const seconds = (performance.now() - opened) / 1000;
    setText(words, `no event yet (${minutesAndSeconds(seconds)})`);
    find("#causes", root).hidden = seconds < CAUSES_AFTER_SECONDS;
  });
  mountCopy(root);
  const button = find("#demo-show", root);
  button?.addEventListener("click", () => showDemo(root, page, button));
}

function mountCopy(root) {
  const button = find("#copy-snippet", root);
  button.addEventListener("click", async () => {
    const snippet = find("#snippet", root);
    try {
      await navigator.clipboard.writeText(snippet.textContent);
      setText(button, "Copied ✓");
      announce("Command copied");
    } catch {
      // Over plain http from another machine there is no clipboard: select it for the person's own copy.
      getSelection().selectAllChildren(snippet);
      setText(button, "Press Ctrl+C");
    }
    setTimeout(() => setText(button, "Copy"), 2_500);
  });
}

async function showDemo(root, page, button) {
  const words = find("#demo-words", root);
  const usual = words.textContent;
  const show = () => page.load({ quiet: !page.frozen }); // a paused page goes on: this was asked for
  const progress = find("#demo-progress", root);
  button.disabled = true;
  progress.hidden = false;
  setText(words, "Creating one day of demo data…");
  try {
    let state = await demoStart();
    let seen = state.present;
    while (!page.hasEvents || (state.running && (state.progress_percent ?? 100) < 100)) {
      progress.value = state.progress_percent ?? 0;
      setText(words, `Creating one day of demo data… ${state.progress_percent ?? 0} %`);
      await new Promise((done) => setTimeout(done, ASK_AGAIN_MS));
      state = await demoState();
      if (state.removing || (!state.running && seen)) break; // somebody wants it gone again
      if (state.present || !state.running) await show();
      seen ||= state.present;
      if (!state.running && !state.present) throw new Error("the demo stopped before it created any data. See the server log.");
    }
    await show();
    setText(words, usual);
  } catch (problem) {
    setText(words, `The demo data could not be created: ${problem.message}`);
  } finally {
    button.disabled = false;
    progress.hidden = true;
  }
}
