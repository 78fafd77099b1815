// The horizontal scales of a histogram whose edges have equal ratios. Pure.
// Logarithmic: all bars are equally wide, and position n is edge n. Linear: positions are values.

const ROUND = [1, 2, 3, 5];
const LINEAR_SHARE = 0.995; // of the values are on a linear scale; a few high ones would press all others to the left

// Round values between the edges, about `most`, as [{value, position}].
export function logTicks(edges, most = 6) {
  if (edges.length < 2) return [];
  const [low, high] = [Math.max(edges[0], 1e-6), edges.at(-1)];
  const candidates = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const factor of ROUND) candidates.push({ value: factor * 10 ** power, factor });
  }
  const within = candidates.filter(({ value }) => value >= low && value <= high);
  const chosen = [ROUND, [1, 3], [1]].map((factors) => within.filter(({ factor }) => factors.includes(factor)));
  const ticks = chosen.find((list) => list.length <= most && list.length) ?? chosen.at(-1).filter((_, index, list) => index % Math.ceil(list.length / most) === 0);
  return ticks.map(({ value }) => ({ value, position: positionOf(edges, value) }));
}

export function positionOf(edges, value) {
  const next = edges.findIndex((edge) => edge >= value);
  if (next <= 0) return next === 0 ? 0 : edges.length - 1;
  const [low, high] = [Math.max(edges[next - 1], edges[next] / 1e3), edges[next]];
  return next - 1 + Math.max(0, Math.min(1, Math.log(value / low) / Math.log(high / low)));
}

// The end of a linear scale: the edge below which nearly all values are.
export function linearEnd(edges, models) {
  const totals = edges.slice(1).map((_, bar) => models.reduce((sum, { counts }) => sum + counts[bar], 0));
  const all = totals.reduce((sum, count) => sum + count, 0);
  let below = 0;
  for (const [bar, count] of totals.entries()) {
    below += count;
    if (below >= LINEAR_SHARE * all) return edges[bar + 1];
  }
  return edges.at(-1) ?? 1;
}

// The heights of the bars: shares of the count of their model on a logarithmic scale; on a linear one, shares divided by
// the width of the bar, so that areas are shares.
export function heights(edges, counts, linear) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (!total) return counts.map(() => 0);
  return counts.map((count, bar) => (count / total) / (linear ? edges[bar + 1] - edges[bar] || 1 : 1));
}
