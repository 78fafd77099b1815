// The arithmetic of histograms. Pure.

const LEAST_DISTANCE = 1.5;

// The place of a value on an axis on which every bar is one wide; null outside of it. `edges` are those of the bars.
export function placeOf(value, edges, logarithmic) {
  const bar = edges.findIndex((edge, index) => edge <= value && value <= edges[index + 1]);
  if (bar < 0) return null;
  const [low, high] = [edges[bar], edges[bar + 1]];
  if (high === low) return bar;
  const share = logarithmic && low > 0 ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return bar + share;
}

// Round values for the ticks between the edges: 1 and 3 times powers of ten, or multiples of a round step, at most about
// `most`.
export function barTicks(edges, logarithmic, most = 6) {
  if (edges.length < 2) return [];
  const least = edges.find((edge) => edge > 0);
  if (least === undefined) return [];
  const values = [];
  if (logarithmic) {
    const decades = Math.ceil(Math.log10(edges.at(-1) / least));
    const factors = decades <= 1 ? [1, 2, 5] : decades > 3 ? [1] : [1, 3];
    for (let power = Math.floor(Math.log10(least)); 10 ** power <= edges.at(-1); power += 1) {
      for (const factor of factors) values.push(Number((factor * 10 ** power).toPrecision(2)));
    }
  } else {
    // The last bar holds all values above its lower edge, and its width means nothing.
    const end = edges.length > 2 ? edges.at(-2) : edges.at(-1);
    const power = 10 ** Math.floor(Math.log10(end / most));
    const step = [1, 2, 5, 10].find((factor) => end / (factor * power) <= most) * power;
    for (let number = 0; number * step <= end * 1.011; number += 1) values.push(Number((number * step).toPrecision(6)));
  }
  // Chart.js draws no bar wider than the distance of two ticks, so ticks are not nearer than that of two bars.
  let last = -Infinity;
  return values.map((value) => ({ value, place: placeOf(value, edges, logarithmic) })).filter(({ place }) => {
    if (place === null || place - last < LEAST_DISTANCE) return false;
    last = place;
    return true;
  });
}

// The models with their bars: [{model, total, totalBefore, p50, p95, bars: [{low, high, count, share, shareBefore}]}]. Shares are of the
// requests of the model that carry the value, in percent.
export function barsOf({ models, ...scales }, scale) {
  const { edges, counts, before } = scales[scale];
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const percent = (value, total) => (total ? (100 * value) / total : 0);
  return models.map(({ name: model, ...figures }, index) => {
    const [total, totalBefore] = [sum(counts[index]), sum(before[index])];
    return {
      ...figures,
      model,
      total,
      totalBefore,
      bars: counts[index].map((count, bar) => ({
        low: edges[bar], high: edges[bar + 1], count, before: before[index][bar],
        share: percent(count, total), shareBefore: percent(before[index][bar], totalBefore),
      })),
    };
  }).filter(({ total, totalBefore }) => total || totalBefore);
}
