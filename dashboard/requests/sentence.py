"""The sentence of the Requests page. A pure function."""

from __future__ import annotations

from typing import Any

from dashboard.formatting import percent, rate, whole
from dashboard.sentence import Sentence


def describe(summary: dict[str, Any], span: str, last_at: str | None = None) -> Sentence:
    """Return how many requests the window has and how many of them failed. `last_at`: of the newest of all times."""
    requests, failed = summary.get("total_requests") or 0, summary.get("failed_requests") or 0
    if not requests:
        last = f"The last one finished at {last_at}." if last_at else "No request was sent yet."
        return Sentence("quiet", f"No requests in {span}.", last)
    head = f"{whole(requests)} request{'' if requests == 1 else 's'} in {span}"
    title = f"{head}; {whole(failed)} failed." if failed else f"{head}; none failed."
    per = rate(summary.get("requests_per_second"), "per ")
    text = f"{per} on average."
    if failed:
        text += f" {percent(100 * failed / requests)} failed."
    return Sentence("ok", title, text)
