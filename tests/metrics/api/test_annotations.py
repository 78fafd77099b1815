"""`/annotations`: adding, listing and deleting marks on the time axis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from llmmonitor.access.keys import create_key
from llmmonitor.access.models import AuditEntry
from metrics import queries
from metrics.models import Annotation, ModelAlias
from metrics.queries import Filters, Window

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>"
HERE = {"HTTP_HOST": "127.0.0.1:8899", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8899"}


def with_key(scope: str) -> Client:
    _, token = create_key("deploys", [scope], at=timezone.now())
    return Client(headers={"Authorization": f"Bearer {token}"}, **HERE)


@pytest.fixture
def client(db: Any) -> Client:
    return with_key("manage")


def add(client: Client, **fields: Any) -> Any:
    return client.post("/annotations", fields, content_type="application/json")


def stored(at: datetime, text: str, **more: str) -> Annotation:
    return Annotation.objects.create(at=at, text=text, **more)


def texts(response: Any) -> list[str]:
    return [row["text"] for row in response.json()["results"]]


class AnAnnotation:
    def test_is_stored_with_what_was_sent(self, client: Client) -> None:
        at = timezone.now() - timedelta(minutes=7)
        response = add(client, text=" deploy 1.4 ", kind="deploy", at=at.isoformat(), model_name="m", host="gpu-1")

        assert response.status_code == 201
        sent = {"text": "deploy 1.4", "kind": "deploy", "model_name": "m", "host": "gpu-1"}
        row = Annotation.objects.get()
        assert response.json() == {"id": row.pk, "at": at.isoformat().replace("+00:00", "Z"), **sent}
        assert client.get("/annotations").json() == {"next": None, "previous": None, "results": [response.json()]}

    def test_is_a_note_of_everything_and_of_now_by_default(self, client: Client) -> None:
        before = timezone.now()
        row = add(client, text="lunch", kind=None, at=None, host=None).json()

        assert (row["kind"], row["model_name"], row["host"]) == ("note", "", "")
        assert before <= datetime.fromisoformat(row["at"]) <= timezone.now()

    def test_is_data_whatever_its_text_is(self, client: Client) -> None:
        add(client, text=HOSTILE, model_name=HOSTILE, host=HOSTILE)

        response = client.get("/annotations")
        assert response["Content-Type"] == "application/json"
        (row,) = response.json()["results"]
        assert (row["text"], row["model_name"], row["host"]) == (HOSTILE, HOSTILE, HOSTILE)

    @pytest.mark.parametrize(
        ("fields", "detail"),
        [
            ({}, "text is required."),
            ({"text": "  "}, "text must not be empty."),
            ({"text": "\u200b\u200b \u2060"}, "text must not be empty."),
            ({"text": "x" * 201}, "text must be at most 200 characters, got 201 characters."),
            ({"text": "a\nb"}, "text must not hold control characters or NUL."),
            ({"text": "\ud800"}, "text must be valid Unicode."),
            ({"text": 7}, "text must be text, got 7."),
            ({"text": "x", "kind": "release"}, "kind must be one of 'deploy', 'config' or 'note', got 'release'."),
            ({"text": "x", "at": "soon"}, "at must be a time in ISO 8601 or unix seconds, got text."),
            ({"text": "x", "host": "h" * 201}, "host must be at most 200 characters, got 201 characters."),
            ({"text": "x", "model": "m"}, "model is not a field. Fields: text, kind, at, model_name, host."),
        ],
    )
    def test_is_refused_with_the_field_and_the_reason(self, client: Client, fields: Any, detail: str) -> None:
        response = add(client, **fields)

        assert (response.status_code, response.json()["code"]) == (400, "bad_annotation")
        assert response.json()["detail"] == detail

    @pytest.mark.parametrize(
        ("distance", "detail"),
        [
            (timedelta(minutes=6), "at must be at most 300 s ahead of"),
            (-timedelta(days=401), "at must be at most 400 d"),
        ],
    )
    def test_has_the_limits_of_the_time_of_an_event(self, client: Client, distance: timedelta, detail: str) -> None:
        response = add(client, text="x", at=(timezone.now() + distance).isoformat())

        assert response.status_code == 400
        assert response.json()["detail"].startswith(detail)

    def test_is_an_object(self, client: Client) -> None:
        response = client.post("/annotations", [{"text": "x"}], content_type="application/json")

        assert (response.status_code, response.json()["code"]) == (400, "bad_annotation")

    def test_is_refused_when_there_are_too_many(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("metrics.store.annotations.MAX_ANNOTATIONS", 1)
        assert add(client, text="a").status_code == 201

        response = add(client, text="b")
        assert (response.status_code, response.json()["code"]) == (400, "too_many_annotations")
        assert response.json()["detail"] == "text was not stored: there are 1 annotations. Delete some first."

    def test_is_deleted(self, client: Client) -> None:
        number = add(client, text="a").json()["id"]

        assert client.delete(f"/annotations/{number}").status_code == 204
        assert texts(client.get("/annotations")) == []
        for missing in (number, 2**70):
            assert client.delete(f"/annotations/{missing}").status_code == 404

    def test_is_in_the_audit_log(self, client: Client) -> None:
        number = add(client, text="deploy 1.4", kind="deploy").json()["id"]
        client.delete(f"/annotations/{number}")

        subject = f"{number} Deploy: deploy 1.4"
        assert [(entry.actor, entry.action, entry.subject) for entry in AuditEntry.objects.order_by("id")][1:] == [
            ("deploys", "added annotation", subject),
            ("deploys", "deleted annotation", subject),
        ]


class AProgram:
    @pytest.mark.parametrize(("scope", "status"), [(None, 401), ("ingest", 403), ("read", 403), ("manage", 201)])
    def test_needs_a_manage_key_on_loopback_too(self, db: Any, scope: str | None, status: int) -> None:
        client = with_key(scope) if scope else Client(**HERE)

        assert add(client, text="x").status_code == status
        row = stored(NOON, "y")
        assert client.delete(f"/annotations/{row.pk}").status_code == (204 if status == 201 else status)


class TheList:
    def test_has_pages_in_the_order_of_time(self, client: Client) -> None:
        for number in range(7):
            stored(NOON + timedelta(minutes=number // 2), str(number))

        pages, address = [], "/annotations?limit=3"
        while address:
            page = client.get(address).json()
            pages.append([row["text"] for row in page["results"]])
            address, back = page["next"], page["previous"]
        assert pages == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
        assert texts(client.get(back)) == ["3", "2", "1"]

    def test_of_a_model_or_a_host_has_those_of_all_too(self, client: Client) -> None:
        stored(NOON, "all")
        stored(NOON, "m", model_name="m")
        stored(NOON, "n", model_name="n")
        stored(NOON, "m on h", model_name="m", host="h")

        for query, expected in (
            ("", {"all", "m", "n", "m on h"}),
            ("?model=m", {"all", "m", "m on h"}),
            ("?model=m&model=n&host=g", {"all", "m", "n"}),
            ("?host=h", {"all", "m", "n", "m on h"}),
        ):
            assert set(texts(client.get(f"/annotations{query}"))) == expected

    def test_of_a_model_has_those_of_its_aliases(self, client: Client) -> None:
        ModelAlias.objects.create(name="m-2026-03-01", group="m")
        stored(NOON, "alias", model_name="m-2026-03-01")

        assert texts(client.get("/annotations?model=m")) == ["alias"]
        assert texts(client.get("/annotations?model=n")) == []

    def test_of_a_window_begins_with_its_start_and_ends_before_its_end(self, client: Client) -> None:
        for minute in (0, 1, 2):
            stored(NOON + timedelta(minutes=minute), str(minute))

        assert texts(client.get("/annotations?from=2026-03-01T12:00:00Z&to=2026-03-01T12:02:00Z")) == ["1", "0"]

    def test_refuses_parameters_that_it_does_not_have(self, client: Client) -> None:
        for query in ("provider=x", "range=1y", "cursor=x", "limit=0"):
            response = client.get(f"/annotations?{query}")
            assert (response.status_code, response.json()["code"]) == (400, "bad_query")


class TheAnnotationsOfAWindow:
    def test_are_the_newest_of_the_view_in_one_query(self, db: Any) -> None:
        for number in range(4):
            stored(NOON + timedelta(minutes=number), str(number), model_name=("m", "")[number % 2])
        window = Window(NOON, NOON + timedelta(minutes=3))

        with CaptureQueriesContext(connection) as asked:
            rows = queries.annotations_of(window, Filters(model=("n",)))
        assert [row["text"] for row in rows] == ["1"]
        assert len(asked) == 1
        assert [row["text"] for row in queries.annotations_of(window, Filters(), limit=2)] == ["2", "1"]
