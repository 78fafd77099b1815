// The arithmetic of heatmaps. Pure.

const COLOUR_STEPS = 7;
const LEAST_SHARE = 0.14; // of the colour of the first step, so that it differs from the background

// Merge neighbouring rows, so that there are at most `maxRows`.
export function mergeRows({ edges, counts }, maxRows = 14) {
  const rows = Math.max(0, edges.length - 1);
  const size = Math.max(1, Math.ceil(rows / maxRows));
  const starts = Array.from({ length: Math.ceil(rows / size) }, (_, index) => index * size);
  const total = (values) => values.reduce((sum, value) => sum + value, 0);
  return {
    edges: rows ? [...starts.map((row) => edges[row]), edges[rows]] : [],
    counts: counts.map((column) => starts.map((row) => total(column.slice(row, Math.min(rows, row + size))))),
  };
}

// The steps of colour for counts up to `max`, on a square-root scale: [{low, high, share}] in whole counts. A step without a
// whole count is omitted.
export function countSteps(max) {
  const steps = [];
  let low = 1;
  for (let step = 1; step <= COLOUR_STEPS; step += 1) {
    const high = step === COLOUR_STEPS ? max : Math.floor((max * step * step) / COLOUR_STEPS ** 2);
    if (high < low) continue;
    steps.push({ low, high, share: LEAST_SHARE + (1 - LEAST_SHARE) * (step / COLOUR_STEPS) });
    low = high + 1;
  }
  return steps;
}

// Equal steps of colour for values from 0 to `max`.
export function linearSteps(max, count = 5) {
  return Array.from({ length: count }, (_, index) => ({
    low: (max * index) / count,
    high: (max * (index + 1)) / count,
    share: LEAST_SHARE + (1 - LEAST_SHARE) * (index / (count - 1)),
  }));
}

// The step of a value; one above the last step has the colour of the last.
export const stepOf = (steps, value) => steps.find(({ high }) => value <= high) ?? steps.at(-1);

// Round values between two limits of a logarithmic axis: 100, 300, 1,000 …, and 200, 500 as well where these are few.
export function logTicks(low, high) {
  const ticks = (factors) => {
    const values = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const factor of factors) values.push(Number((factor * 10 ** power).toPrecision(3)));
    }
    return values.filter((value) => value >= low && value <= high);
  };
  const sets = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7], [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9]].map(ticks);
  return sets.findLast((values) => values.length >= 2 && values.length <= 6) ?? sets.at(-1);
}

const LEAST_SPAN = Math.log10(3); // of an axis: a single row would have no round value

// The logarithmic axis of rows between these edges: {least, min, max, ticks}. `min` and `max` are heights, the ticks are values.
/** @param {number[]} edges */
export function axisOf(edges) {
  const least = edges.find((edge) => edge > 0) ?? 1;
  const [low, high] = [heightOf(edges[0], least), heightOf(edges.at(-1), least)];
  const margin = Math.max(0, (LEAST_SPAN - (high - low)) / 2);
  const [min, max] = [low - margin, high + margin];
  return { least, min, max, ticks: logTicks(margin ? 10 ** min : least, margin ? 10 ** max : edges.at(-1)) };
}

// Where a value stands on a logarithmic axis; 0 has a row of its own below `least`.
export const heightOf = (value, least) => Math.log10(Math.max(value, least / 2));
