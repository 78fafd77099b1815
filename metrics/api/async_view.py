"""REST framework's view on the event loop: the same authentication, permissions, throttles and errors, and no thread.

REST framework knows threads only. Its `dispatch` is repeated here with an `await` before the handler; what it calls
leaves the loop only where it would ask the database or Redis: for a key that is not cached, a session, shared counters.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.views import APIView

from llmmonitor.access.identity import call_inline_or_in_thread
from llmmonitor.access.middleware import needs_thread


class AsyncView(APIView):
    """A view whose methods are coroutines."""

    async def dispatch(  # type: ignore[override]
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """As APIView's."""
        self.args, self.kwargs = args, kwargs
        self.request: Request = self.initialize_request(request, *args, **kwargs)
        self.headers = self.default_response_headers
        try:
            await call_inline_or_in_thread(not needs_thread(request), self.initial, self.request, *args, **kwargs)
            handler = getattr(self, (request.method or "").lower(), None)
            response = await self._call(handler)
        except Exception as error:  # noqa: BLE001 - what it does not know it raises again
            response = self.handle_exception(error)
        # Any response of Django's will do; the stubs know only its own.
        self.response = self.finalize_response(self.request, response, *args, **kwargs)  # type: ignore[arg-type]
        return self.response

    async def _call(self, handler: Callable[..., Awaitable[HttpResponseBase]] | None) -> HttpResponseBase:
        if handler is None or (self.request.method or "").lower() not in self.http_method_names:
            handler = self._not_allowed
        return await handler(self.request, *self.args, **self.kwargs)

    async def _not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.http_method_not_allowed(request, *args, **kwargs)

    async def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        """As APIView's."""
        return super().options(request, *args, **kwargs)
