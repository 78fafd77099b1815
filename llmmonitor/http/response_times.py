"""Counts the time of each response by its view, for the figures of the monitor about itself."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from llmmonitor.infra.telemetry import telemetry


class ResponseTimeMiddleware:
    """Counts durations "response" and counters "responses", both by view; the latter also by status class.

    The time of a streamed response ends where its stream begins.
    """

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
        begin = time.perf_counter()
        response: HttpResponseBase = self.get_response(request)
        _count(request, response, begin)
        return response

    async def _async_call(self, request: HttpRequest) -> HttpResponseBase:
        begin = time.perf_counter()
        response: HttpResponseBase = await self.get_response(request)
        _count(request, response, begin)
        return response


def _count(request: HttpRequest, response: HttpResponseBase, begin: float) -> None:
    match = request.resolver_match
    name = (match and match.view_name) or "not found"
    telemetry.observe("response", time.perf_counter() - begin, name)
    if response.status_code >= 400:
        telemetry.count("error_responses", f"{response.status_code // 100}xx")
