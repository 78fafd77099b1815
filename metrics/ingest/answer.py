"""What a post of events is answered."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from llmmonitor.access.problem_details import CONTENT_TYPE, problem_body
from metrics.events import Validated

if TYPE_CHECKING:
    from metrics.ingest.recorder import CommitResult


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the body to answer, ready for JSON. `retry_after`: seconds, where trying again may help."""

    status: int
    payload: dict[str, Any]
    retry_after: int | None = None

    @property
    def content_type(self) -> str:
        """The media type of the body: a problem has one of its own."""
        return CONTENT_TYPE if "code" in self.payload else "application/json"

    @property
    def headers(self) -> dict[str, str]:
        """The headers beside the content type."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def problem_answer(status: int, code: str, detail: str, retry_after: int | None = None, **extras: Any) -> Answer:
    """A refusal of the whole (RFC 9457)."""
    return Answer(status, problem_body(status, code, detail, **extras), retry_after)


def recorded_answer(validated: Validated, recorded: CommitResult | None) -> Answer:
    """The answer after the commit; accepted, duplicates and rejected are disjoint and add up to what was sent.

    200, or 422 in the same form when every event was refused. `recorded` is None when there was nothing to record.
    """
    rejected = list(validated.rejected)
    accepted = duplicates = 0
    if recorded is not None:
        accepted, duplicates = recorded.accepted, recorded.duplicates
        rejected += [replace(rejection, index=validated.indexes[rejection.index]) for rejection in recorded.rejected]
    rejected.sort(key=lambda rejection: rejection.index)
    refused = {rejection.index for rejection in rejected}
    return Answer(
        200 if accepted or duplicates else 422,
        {
            "accepted": accepted,
            "duplicates": duplicates,
            "rejected": [asdict(rejection) for rejection in rejected],
            "request_ids": [
                generated_id for index, generated_id in validated.generated_ids.items() if index not in refused
            ],
            "dropped": validated.dropped,
        },
    )
