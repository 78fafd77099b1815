"""Counts the time of each HTTP response by its route, for the figures of the monitor about itself.

An ASGI application counts, because posts on the fast lane and bodies that are too large do not reach Django. Django
notes the name of its route in the scope of the request.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from llmmonitor.infra.telemetry import telemetry

ROUTE = "llmmonitor.route"  # item of the scope
NOT_FOUND = "not found"
NO_ROUTE = "none"  # of a response that was made before a route was looked for, such as that to a wrong Host


def with_response_times(application: Any) -> Any:
    """Return an ASGI application that counts durations "response" by route, and "error_responses" by status class.

    The time of a streamed response ends where its stream begins.
    """

    async def timed(scope: dict[str, Any], receive: Any, send: Any) -> None:
        begin = time.perf_counter()

        def send_and_count(message: dict[str, Any]) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                telemetry.observe("response", time.perf_counter() - begin, scope.get(ROUTE, NO_ROUTE))
                if message["status"] >= 400:
                    telemetry.count("error_responses", f"{message['status'] // 100}xx")
            sent: Awaitable[None] = send(message)
            return sent

        await application(scope, receive, send_and_count)

    return timed


class RouteMiddleware:
    """Notes the name of the route in the scope of a request. Without ASGI, a request has no scope."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Return the response."""
        if self._is_async:
            return self._async_call(request)
        response: HttpResponseBase = self.get_response(request)
        return response

    async def _async_call(self, request: Any) -> HttpResponseBase:  # an ASGIRequest
        response: HttpResponseBase = await self.get_response(request)
        if match := request.resolver_match:
            request.scope[ROUTE] = match.view_name or NO_ROUTE
        elif response.status_code == 404:
            request.scope[ROUTE] = NOT_FOUND
        return response
