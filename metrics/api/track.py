"""`POST /track/{inference,error,queue,system}`: events come in. The body goes as it is to `metrics.ingest.post`.

These views run on the event loop: while their events wait for the commit they hold no thread and no connection (tried:
twice as many single posts a second as on a thread for each).
"""

from __future__ import annotations

from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from llmmonitor.access.permissions import CanIngest
from llmmonitor.access.throttles import IngestThrottle
from metrics.api.base_views import AsyncView
from metrics.api.openapi.description import describe
from metrics.api.openapi.request_schemas import EXAMPLES, request_schema
from metrics.api.openapi.response_schemas import TRACK_RESULT, problems
from metrics.api.renderers import dump
from metrics.events import Kind
from metrics.ingest.answer import problem_answer
from metrics.ingest.body import Limits, too_large
from metrics.ingest.post import Answer, aingest, ingest

# A body up to this is read and validated on the event loop: 64 kB take a millisecond or two, a hop to a thread as long.
LOOP_BYTES = 65_536


def read_body(request: HttpRequest, max_bytes: int) -> bytes | None:
    """The raw body; None when it is larger than `max_bytes`. What says so beforehand is not read at all."""
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        announced = 0  # the reading below is bounded whatever was said
    if announced > max_bytes:
        return None
    body = request.read(max_bytes + 1)
    return body if len(body) <= max_bytes else None


class _TrackView(AsyncView):
    """Takes events of one kind."""

    kind: ClassVar[Kind]
    permission_classes = (CanIngest,)
    throttle_classes = (IngestThrottle,)
    # None: the body is read here, and whatever its type is, the answer to it is `metrics.ingest.post`'s.
    parser_classes = ()

    async def take(self, request: Request) -> HttpResponse:
        """Store events; 200 means that they are committed."""
        limits = Limits(max_body_bytes=settings.LLMMONITOR.max_body_bytes)
        body = read_body(request._request, limits.max_body_bytes)
        if body is None:
            refusal = too_large(limits)
            return _response(problem_answer(refusal.status, refusal.code, refusal.detail))
        meta = request._request.META
        arguments = self.kind, body, meta.get("CONTENT_TYPE"), meta.get("HTTP_CONTENT_ENCODING")
        if len(body) <= LOOP_BYTES:
            return _response(await aingest(*arguments))
        return _response(await sync_to_async(ingest)(*arguments))


def _response(answer: Answer) -> HttpResponse:
    # Not REST framework's Response, which Django would render on a thread.
    return HttpResponse(dump(answer.payload), answer.content_type, answer.status, headers=answer.headers)


def _post(kind: Kind, summary: str, description: str) -> Any:
    """The method of one view: a function of its own, because its description is kept on it."""

    async def post(self: _TrackView, request: Request) -> HttpResponse:
        return await self.take(request)

    return describe(
        tags=["track"],
        summary=summary,
        description=f'{description} One object, an array, `{{"events": [...]}}` or lines of JSON; gzip is accepted.',
        request={"application/json": request_schema(kind), "application/x-ndjson": {"type": "string"}},
        example=EXAMPLES[kind],
        responses={
            200: TRACK_RESULT,
            422: TRACK_RESULT,
            **problems(400, 401, 403, 413, 415, 429, 503),
        },
    )(post)


class TrackInferenceView(_TrackView):
    """Requests to models."""

    kind = Kind.INFERENCE
    post = _post(
        kind, "Record requests", "One request is counted once: a repeat of its timestamp and id is no new one."
    )


class TrackErrorView(_TrackView):
    """Errors."""

    kind = Kind.ERROR
    post = _post(
        kind, "Record errors", "With the request_id of a failed request it describes that one; alone it counts as one."
    )


class TrackQueueView(_TrackView):
    """Queues."""

    kind = Kind.QUEUE
    post = _post(kind, "Record queue lengths", "For services that know their own queue.")


class TrackSystemView(_TrackView):
    """Machines."""

    kind = Kind.SYSTEM
    post = _post(kind, "Record samples of machines", "What the agent sends: a host and its GPUs.")
