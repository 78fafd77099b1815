"""The annotations in the data of a page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.pages import PAGES
from metrics.models import Annotation

pytestmark = pytest.mark.django_db

WITH_RANGE = [spec.name for spec in PAGES if spec.filters is not None]


@pytest.fixture
def visitor() -> Client:
    """A user on this machine."""
    return Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")


def texts(visitor: Client, name: str, query: str = "") -> Any:
    figures = visitor.get(f"{reverse(name)}?range=1h{query}").json()
    return [row["text"] for row in figures["annotations"]]


class APageWithATimeRange:
    @pytest.mark.parametrize("page", WITH_RANGE)
    def test_has_the_annotations_of_its_window_and_filters(self, visitor: Client, page: str) -> None:
        now = timezone.now()
        for minutes, text, model in ((90, "before", ""), (20, "of m", "m"), (10, "of all", "")):
            Annotation.objects.create(at=now - timedelta(minutes=minutes), text=text, model_name=model)

        for name in (f"{page}-data", f"{page}-figures"):
            assert texts(visitor, name) == ["of all", "of m"]
            assert texts(visitor, name, "&model=n") == ["of all"]

    def test_has_the_text_of_an_annotation_as_data(self, visitor: Client) -> None:
        Annotation.objects.create(at=timezone.now(), text="</script><img src=x onerror=alert(1)>")

        html = visitor.get("/?range=1h").content.decode()
        assert "onerror=alert(1)" in html
        assert "<img src=x" not in html


class APageWithoutATimeRange:
    @pytest.mark.parametrize("page", [spec.name for spec in PAGES if spec.filters is None])
    def test_has_none(self, visitor: Client, page: str) -> None:
        assert "annotations" not in visitor.get(reverse(f"{page}-data")).json()
