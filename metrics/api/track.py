"""`POST /track/{inference,error,queue,system}`: pass the body to `metrics.ingest.post`.

These views run on the event loop, so that a request uses no thread and no database connection while its events wait
for the commit. That doubled the number of single posts per second, compared with a thread for each request.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from llmmonitor.access.identity import identify_request
from llmmonitor.access.permissions import CanIngest
from llmmonitor.access.throttles import IngestThrottle
from metrics.api.base_views import AsyncView
from metrics.api.openapi.description import describe
from metrics.api.openapi.request_schemas import EXAMPLES, request_schema
from metrics.api.openapi.response_schemas import TRACK_RESULT, problems
from metrics.api.renderers import dump
from metrics.api.sender import sender_of
from metrics.events import Kind
from metrics.ingest.post import IngestResponse, aingest

BODY = 'The body is one event, an array, `{"events": [...]}` or lines of JSON. It may be compressed with gzip.'


class _TrackView(AsyncView):
    """Base class: stores events of one kind."""

    kind: ClassVar[Kind]
    permission_classes = (CanIngest,)
    throttle_classes = (IngestThrottle,)
    # No parsers: `metrics.ingest.post` checks the media type and parses the body.
    parser_classes = ()

    async def store(self, request: Request) -> HttpResponse:
        """Store the events of the body. The status 200 means that they are committed."""
        body = request._request.read()  # llmmonitor.http has rejected a body that is too large
        meta = request._request.META
        sender = sender_of(identify_request(request._request), self.kind)
        response = await aingest(
            self.kind, body, meta.get("CONTENT_TYPE"), meta.get("HTTP_CONTENT_ENCODING"), sender=sender
        )
        return _response(response)


def _response(response: IngestResponse) -> HttpResponse:
    # Not REST framework's Response, because Django renders that in a thread.
    return HttpResponse(dump(response.payload), response.content_type, response.status, headers=response.headers)


def _post(kind: Kind, summary: str, description: str) -> Any:
    """Return the `post` method of a view. Each view needs its own function, because it stores the description."""

    async def post(self: _TrackView, request: Request) -> HttpResponse:
        return await self.store(request)

    return describe(
        tags=["track"],
        summary=summary,
        description=f"{description} {BODY}",
        request={"application/json": request_schema(kind), "application/x-ndjson": {"type": "string"}},
        example=EXAMPLES[kind],
        responses={200: TRACK_RESULT, 422: TRACK_RESULT, **problems(400, 401, 403, 413, 415, 429, 503)},
    )(post)


class TrackInferenceView(_TrackView):
    """Requests to models."""

    kind = Kind.INFERENCE
    post = _post(
        kind,
        "Record requests",
        "Send a request when it has ended. Events with the same timestamp, request_id, model_name and "
        "provider are counted once. The fields of a provider's response may be sent as they are: model, usage, "
        "latency_ms.",
    )


class TrackErrorView(_TrackView):
    """Errors."""

    kind = Kind.ERROR
    post = _post(
        kind,
        "Record errors",
        "An error with the request_id and the model of a failed request belongs to it, if its time is between the "
        "start of the request and 60 s after its end. Other errors of one request_id and model within 60 s count as "
        "one failed request. An error of severity WARNING never counts.",
    )


class TrackQueueView(_TrackView):
    """Queues."""

    kind = Kind.QUEUE
    post = _post(kind, "Record queue lengths", "For services that measure their own queue.")


class TrackSystemView(_TrackView):
    """Hosts and their GPUs."""

    kind = Kind.SYSTEM
    post = _post(kind, "Record samples of hosts", "A sample has the values of a host and its GPUs.")
