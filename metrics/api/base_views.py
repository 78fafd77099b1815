"""Base classes of the API's views."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.views import APIView

from llmmonitor.access.identity import call_inline_or_in_thread
from llmmonitor.access.middleware import needs_thread
from llmmonitor.access.permissions import CanRead
from llmmonitor.access.throttles import ReadThrottle


class ReadView(APIView):
    """A view that requires the right to read."""

    permission_classes = [CanRead]
    throttle_classes = [ReadThrottle]


class AsyncView(APIView):
    """A view whose handlers are coroutines that run on the event loop.

    REST framework's `dispatch` is synchronous. This one has the same steps and awaits the handler. Authentication,
    permissions and throttles run in a thread only if they may use the database or Redis: for a key that is not cached,
    a session, or counters in Redis.
    """

    async def dispatch(  # type: ignore[override]
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Check the request, await the handler of its method, and return the response."""
        self.args, self.kwargs = args, kwargs
        self.request: Request = self.initialize_request(request, *args, **kwargs)
        self.headers = self.default_response_headers
        try:
            await call_inline_or_in_thread(not needs_thread(request), self.initial, self.request, *args, **kwargs)
            method = (request.method or "").lower()
            handler = getattr(self, method, None) if method in self.http_method_names else None
            if handler is None:
                raise MethodNotAllowed(method.upper())
            response = await handler(self.request, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - handle_exception raises unknown exceptions again
            response = self.handle_exception(error)
        self.response = self.finalize_response(self.request, response, *args, **kwargs)
        return self.response

    async def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        """Return the response to OPTIONS, as APIView does."""
        return super().options(request, *args, **kwargs)
