// The parts of the mean response time of each bucket: queue, prompt and decode. Pure. The server has the same rules for whole
// windows, in dashboard/latency/parts_of_time.py.

export const QUEUE = ["inference.queue_time_ms", "avg"];
export const FIRST_TOKEN = ["inference.ttft_ms", "avg"];
export const RESPONSE = ["inference.response_time_ms", "avg"];

// The phases of each bucket, `streamed`: whether any has a first token, and `queued`: whether any has a queue time. A queue
// time that is not known is null, and takes no part of the response time.
export function partsOfTime(series) {
  const byTime = (metric) => new Map(series.get(...metric).map(({ x, y }) => [x, y]));
  const queue = byTime(QUEUE);
  const firstToken = byTime(FIRST_TOKEN);
  const isKnown = (value) => value !== null;
  const streamed = [...firstToken.values()].some(isKnown);
  const result = { queue: [], prompt: [], decode: [], streamed, queued: [...queue.values()].some(isKnown) };
  for (const { x, y } of series.get(...RESPONSE)) {
    const queueEnd = y === null ? null : (queue.get(x) ?? 0);
    const promptEnd = y === null ? null : Math.max(queueEnd, firstToken.get(x) ?? (streamed ? queueEnd : 0));
    result.queue.push({ x, y: y === null ? null : (queue.get(x) ?? null) });
    result.prompt.push({ x, y: y === null ? null : promptEnd - queueEnd });
    result.decode.push({ x, y: y === null ? null : Math.max(0, y - promptEnd) });
  }
  return result;
}
