"""The first page of the admin: tasks before tables."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from llmmonitor.access.keys import create_key
from tests.llmmonitor.access.asgi_requests import ELSEWHERE, send_request, session_of

pytestmark = pytest.mark.django_db


def first_page(admin: User) -> str:
    return send_request("GET", "/admin/", headers=session_of(admin), client=ELSEWHERE).text


class TheFirstPage:
    def test_begins_with_the_tasks_and_their_counts(self, admin: User) -> None:
        now = timezone.now()
        create_key("wall", ["read"], at=now)
        create_key("old", ["read"], at=now, expires_at=now - timedelta(days=1))

        tasks = re.findall(r'<h2><a href="([^"]*)">(.*?)</a>.*?task-count">([^<]*?) *<', first_page(admin), re.DOTALL)

        listed = [(title, count) for _, title, count in tasks if title not in ("Silences", "Channels")]
        assert [title for title, _ in listed] == [
            "Alert rules",
            "API keys",
            "People",
            "Annotations",
            "Model aliases",
            "Retention",
        ]
        assert listed[1:3] == [("API keys", "1 active"), ("People", "1 active")]
        assert listed[3:5] == [("Annotations", "0 stored"), ("Model aliases", "0 stored")]
        assert listed[5] == ("Retention", "0 of 7 changed")
        assert re.fullmatch(r"\d+ of \d+ enabled", listed[0][1])

    def test_has_the_other_tables_below_without_those_of_the_store_itself(self, admin: User) -> None:
        _, tables = first_page(admin).split("<details")

        assert "/admin/metrics/inferencemetrics/" in tables
        assert "/admin/access/auditentry/" in tables
        for name in ("recentid", "rawfloor", "rollupfloor", "democlaim"):
            assert f"/admin/metrics/{name}/" not in tables
