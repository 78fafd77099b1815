// The parts of the mean response time of each bucket: queue, prompt and decode. Pure.

export const QUEUE = ["inference.queue_time_ms", "avg"];
export const FIRST_TOKEN = ["inference.ttft_ms", "avg"];
export const RESPONSE = ["inference.response_time_ms", "avg"];

// The parts of one response time, by name. The rules are those of metrics/queries/answers/parts_of_time.py. Tests check both
// against tests/dashboard/parts_of_time_cases.json.
/** @param {number | null} response
 *  @param {number | null} queue
 *  @param {number | null} firstToken
 *  @returns {{ queue?: number, prompt?: number, decode?: number, processing?: number }} */
export function partsOf(response, queue, firstToken) {
  if (response === null) return {};
  const queueEnd = Math.min(queue ?? 0, response);
  const parts = queue === null ? {} : { queue: queueEnd };
  if (firstToken === null) return { ...parts, processing: response - queueEnd };
  const promptEnd = Math.min(Math.max(firstToken, queueEnd), response);
  return { ...parts, prompt: promptEnd - queueEnd, decode: response - promptEnd };
}

// The phases of each bucket, `streamed`: whether any has a first token, and `queued`: whether any has a queue time. Without a
// first token, the processing is drawn as decode.
export function partsOfTime(series) {
  const byTime = (metric) => new Map(series.get(...metric).map(({ x, y }) => [x, y]));
  const queue = byTime(QUEUE);
  const firstToken = byTime(FIRST_TOKEN);
  const isAnyKnown = (values) => [...values.values()].some((value) => value !== null);
  const result = { queue: [], prompt: [], decode: [], streamed: isAnyKnown(firstToken), queued: isAnyKnown(queue) };
  for (const { x, y } of series.get(...RESPONSE)) {
    const parts = partsOf(y, queue.get(x) ?? null, firstToken.get(x) ?? null);
    result.queue.push({ x, y: parts.queue ?? null });
    result.prompt.push({ x, y: y === null ? null : (parts.prompt ?? 0) });
    result.decode.push({ x, y: parts.decode ?? parts.processing ?? null });
  }
  return result;
}
