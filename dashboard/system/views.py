"""What a person starts on the System page."""

from __future__ import annotations

from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from dashboard.view_query import view_query
from llmmonitor.access import audit
from llmmonitor.access.identity import identify_request
from llmmonitor.access.permissions import CanManage
from llmmonitor.backup import schedule
from llmmonitor.backup.errors import Refused


class BackUpView(APIView):
    """Makes a backup of the schedule due now. It is a plain form, so the response is the page again."""

    permission_classes = (CanManage,)
    throttle_classes = ()
    schema = None

    def post(self, request: Request) -> HttpResponseRedirect:
        """Ask for a backup, which the task of backups starts."""
        now = timezone.now()
        try:
            schedule.ask(now)
        except Refused as error:
            raise ValidationError(str(error)) from None
        audit.record("asked for a backup", actor=identify_request(request._request).name, at=now)
        return HttpResponseRedirect(f"{reverse('system-page')}{view_query(request._request.GET)}#backup-title")
