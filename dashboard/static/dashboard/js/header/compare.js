// The button that shows or hides the window before, which charts draw as faint lines. The address keeps the choice.

import { parameter } from "../page/address.js";

const PARAMETER = "compare";
const HIDDEN = "none";

// A page without a comparison has no button.
export function mountCompare(page) {
  const button = document.getElementById("compare");
  if (!button) return;
  // The address may be newer than the data, which are still loading.
  button.addEventListener("click", () => page.navigate({ set: { [PARAMETER]: parameter(PARAMETER) === HIDDEN ? null : HIDDEN } }));
  const draw = () => button.setAttribute("aria-pressed", String(page.params.compares));
  page.topics.on("data", draw);
  draw();
}
