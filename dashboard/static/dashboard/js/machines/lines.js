// The lines of all devices of the page's data, and their paths in a small picture of 100 × 40. Pure.

export const WIDTH = 100;
export const HEIGHT = 40;

const keyOf = (metric, stat, host, gpu = "") => [metric, stat, host, gpu].join("\u0000");

export class Lines {
  #values = new Map();

  // `data`: {start, step_seconds, series}, where a series has the values of all steps from `start` on.
  constructor(data) {
    this.start = data?.start ?? 0;
    this.step = (data?.step_seconds ?? 1) * 1000;
    this.count = 0;
    this.devices = []; // {host, gpu}
    for (const { metric, stat, labels, values } of data?.series ?? []) {
      this.#values.set(keyOf(metric, stat, labels.host, labels.gpu), values);
      this.count = Math.max(this.count, values.length);
      if (!this.devices.some(({ host, gpu }) => host === labels.host && gpu === labels.gpu)) this.devices.push(labels);
    }
  }

  // The values of a device; null where the server sent none.
  get(metric, stat, { host, gpu }) {
    return this.#values.get(keyOf(metric, stat, host, gpu)) ?? null;
  }

  // The number of the step that contains a time.
  indexAt(time) {
    return Math.floor((time - this.start) / this.step);
  }
}

const known = (value) => value !== null && value !== undefined;

export function lastKnown(values) {
  return values?.findLast(known) ?? null;
}

function mean(values) {
  const numbers = (values ?? []).filter(known);
  return numbers.length ? numbers.reduce((sum, value) => sum + value, 0) / numbers.length : null;
}

// The difference of the means, in points; null where the time before has less than half as many values.
export function changeOf(values, before) {
  const count = (list) => (list ?? []).filter(known).length;
  return count(before) && 2 * count(before) >= count(values) ? mean(values) - mean(before) : null;
}

export function extent(lists) {
  const numbers = lists.flatMap((values) => values ?? []).filter(known);
  return numbers.length ? [Math.min(...numbers), Math.max(...numbers)] : null;
}

// The number of the runs without a gap: [[{x, y}, …], …], where `count` steps fill the width.
function runs(values, count, [least, most]) {
  const all = [];
  let run = [];
  values.forEach((value, index) => {
    if (!known(value)) {
      run = [];
      return;
    }
    if (!run.length) all.push(run);
    const share = Math.max(0, Math.min(1, (value - least) / (most - least || 1)));
    run.push({ x: ((index + 0.5) / count) * WIDTH, y: HEIGHT - share * HEIGHT });
  });
  return all;
}

const pair = ({ x, y }) => `${x.toFixed(2)},${y.toFixed(2)}`;

export function linePath(values, count, scale) {
  return runs(values ?? [], count, scale)
    .map((run) => `M${(run.length > 1 ? run : [run[0], { ...run[0], x: run[0].x + 0.5 }]).map(pair).join("L")}`)
    .join("");
}

// The area between the lowest and the highest values.
export function bandPath(lowest, highest, count, scale) {
  const below = runs(lowest ?? [], count, scale);
  return runs(highest ?? [], count, scale)
    .map((run, index) => (below[index] ? `M${[...run, ...below[index].toReversed()].map(pair).join("L")}Z` : ""))
    .join("");
}

// The height of a value in percent of the picture, from its top; null beyond the scale.
export function heightOf(value, [least, most]) {
  const share = (value - least) / (most - least || 1);
  return share >= 0 && share <= 1 ? HEIGHT * (1 - share) : null;
}
