"""Responses to posted events."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from llmmonitor.http.problem_details import CONTENT_TYPE, problem_body
from metrics.events import Validated

if TYPE_CHECKING:
    from metrics.ingest.recorder import CommitResult


@dataclass(frozen=True, slots=True)
class IngestResponse:
    """A status and a body, ready for JSON. `retry_after`: seconds, if a retry may succeed."""

    status: int
    payload: dict[str, Any]
    retry_after: int | None = None

    @property
    def content_type(self) -> str:
        """The media type of the body; problem details have their own."""
        return CONTENT_TYPE if "code" in self.payload else "application/json"

    @property
    def headers(self) -> dict[str, str]:
        """The headers other than the content type."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def error_response(
    status: int, code: str, detail: str, retry_after: int | None = None, **extras: Any
) -> IngestResponse:
    """An error response for the whole request (problem details, RFC 9457)."""
    return IngestResponse(status, problem_body(status, code, detail, **extras), retry_after)


def commit_response(validated: Validated, recorded: CommitResult | None) -> IngestResponse:
    """The response after the commit. Accepted, duplicate and rejected events add up to the events that were sent.

    The status is 200, or 422 with the same body if every event was rejected. `recorded` is None if there was nothing to
    record.
    """
    rejected = list(validated.rejected)
    accepted = duplicates = 0
    if recorded is not None:
        accepted, duplicates = recorded.accepted, recorded.duplicates
        rejected += [replace(rejection, index=validated.indexes[rejection.index]) for rejection in recorded.rejected]
    rejected.sort(key=lambda rejection: rejection.index)
    rejected_indexes = {rejection.index for rejection in rejected}
    return IngestResponse(
        200 if accepted or duplicates else 422,
        {
            "accepted": accepted,
            "duplicates": duplicates,
            "rejected": [asdict(rejection) for rejection in rejected],
            "request_ids": [
                generated_id for index, generated_id in validated.generated_ids.items() if index not in rejected_indexes
            ],
            "dropped": validated.dropped,
            "corrected": validated.corrected,
        },
    )
