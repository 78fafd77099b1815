"""Which of Django's log lines about responses are logged."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.log import log_response

from tests.llmmonitor.access.asgi_requests import ELSEWHERE, send_request


class ALineOfDjangoAboutAResponse:
    @pytest.mark.parametrize(("status", "lines"), [(500, 1), (503, 0), (404, 0)])
    def test_is_logged_for_unexpected_errors_only(
        self, status: int, lines: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        response = HttpResponse(status=status)
        log_response("Answered: %s", "/", response=response, request=RequestFactory().get("/"))
        assert len(caplog.records) == lines


@pytest.mark.django_db
class ARequestThatIsHostile:
    @pytest.mark.parametrize(
        ("method", "request_", "status"),
        [
            ("POST", {"path": "/login/", "body": {"username": "vera"}}, 403),  # without the form's token
            ("POST", {"path": "/login/", "body": {f"field{number}": "" for number in range(1_001)}}, 400),
            ("GET", {"path": "/login/", "host": "of.another.example"}, 400),
            ("GET", {"path": "/login/", "host": "no name\x00"}, 400),
            ("GET", {"path": "/nowhere/%00/"}, 404),
        ],
        ids=["token", "fields", "host", "name", "path"],
    )
    def test_is_answered_without_a_line(
        self, method: str, request_: dict[str, Any], status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert send_request(method, client=ELSEWHERE, **request_).status == status
        assert caplog.messages == []
