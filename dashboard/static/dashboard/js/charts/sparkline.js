// A small line without axes or text, as SVG.

import { svg } from "../page/dom.js";

const WIDTH = 100;
const HEIGHT = 26;

// `values`: numbers or null, evenly spaced. `max`: the top of the scale, unless a value is larger.
export function drawSparkline(target, values, { max = null } = {}) {
  const known = values.filter((value) => value !== null);
  if (!known.length) {
    target.replaceChildren();
    delete target.dataset.drawn;
    return;
  }
  const top = Math.max(max ?? 0, ...known, 1e-9) * 1.06;
  const x = (index) => ((index / Math.max(1, values.length - 1)) * WIDTH).toFixed(1);
  const y = (value) => (HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1);
  let line = "";
  let area = "";
  let run = []; // values without a gap
  const endRun = () => {
    if (run.length === 1) run.push({ ...run[0], index: run[0].index + 0.7 });
    if (run.length) {
      const path = run.map(({ index, value }) => `${x(index)},${y(value)}`).join("L");
      line += `M${path}`;
      area += `M${x(run[0].index)},${HEIGHT}L${path}L${x(run.at(-1).index)},${HEIGHT}Z`;
    }
    run = [];
  };
  values.forEach((value, index) => (value === null ? endRun() : run.push({ index, value })));
  endRun();
  if (target.dataset.drawn === line) return; // unchanged
  target.dataset.drawn = line;
  target.replaceChildren(svg("path", { d: area, class: "area" }), svg("path", { d: line }));
}
