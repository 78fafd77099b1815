"""What Django's own lines about answers become."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.log import log_response


class ALineOfDjangoAboutAnAnswer:
    @pytest.mark.parametrize(("status", "lines"), [(500, 1), (503, 0), (404, 0)])
    def test_is_logged_for_what_nobody_meant(self, status: int, lines: int, caplog: pytest.LogCaptureFixture) -> None:
        answer = HttpResponse(status=status)
        log_response("Answered: %s", "/", response=answer, request=RequestFactory().get("/"))
        assert len(caplog.records) == lines

    def test_is_logged_when_it_has_a_traceback(self, caplog: pytest.LogCaptureFixture) -> None:
        log_response("Answered", response=HttpResponse(status=503), exception=RuntimeError("why"))
        assert len(caplog.records) == 1
