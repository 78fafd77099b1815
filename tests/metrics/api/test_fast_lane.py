"""The fast lane responds to plain posts as Django does, and passes all other requests to Django."""

from __future__ import annotations

import gzip
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.core.cache import caches
from django.core.handlers.asgi import ASGIHandler
from django.test import override_settings
from django.utils import timezone

from llmmonitor.access.keys import create_key, find_key, revoke
from llmmonitor.access.models import APIKey
from llmmonitor.environment import read_environment
from llmmonitor.http.path_prefix import add_prefix
from metrics.api.fast_lane import KINDS, MAX_BODY_BYTES, fast_lane
from metrics.models import InferenceMetrics
from metrics.store.unavailable import StoreUnavailable
from metrics.store.writing.transaction import Store
from tests.metrics.api.asgi_client import AsgiClient, Reply

PATH = "/track/inference"
GOOD = {"model_name": "m", "request_id": "r"}


@pytest.fixture
def lane() -> bool:
    return True


@pytest.fixture
def django(api: AsgiClient) -> AsgiClient:
    """A client of Django without the lane, on the same database."""
    return AsgiClient()


def parts(reply: Reply) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return what two responses to one post have in common: all but the id of the request."""
    request_id = reply.headers["x-request-id"]
    headers = [header for header in reply.headers.items() if header[0] != "x-request-id"]
    return reply.status, headers, reply.body.replace(request_id.encode(), b"id")


def fail(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def commit(self: Store, events: Any) -> None:
        raise error

    monkeypatch.setattr(Store, "commit", commit)


class APlainPost:
    @pytest.mark.parametrize("path", KINDS)
    def test_is_handled_without_django(self, api: AsgiClient, path: str) -> None:
        assert api.post(path, {"model_name": "m"}).status in (200, 422)
        assert api.seen_by_django == []

    def test_is_stored(self, api: AsgiClient) -> None:
        assert api.post(PATH, GOOD).json()["accepted"] == 1
        assert InferenceMetrics.objects.get().request_id == "r"

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"model_name": "m", "request_id": "{}", "prompt": "secret"}, 200),
            ([{"model_name": "m", "request_id": "{}"}, {"model_name": ""}], 200),
            ({"model_name": ""}, 422),
            (b"{", 400),
            (b"[]", 400),
            (b"[" + b"1," * 10_000 + b"1]", 413),
        ],
    )
    def test_gets_the_response_of_django(self, api: AsgiClient, django: AsgiClient, body: Any, status: int) -> None:
        replies = []
        for client, request_id in ((api, "lane"), (django, "view")):
            raw = body if isinstance(body, bytes) else orjson.dumps(body).replace(b"{}", request_id.encode())
            replies.append(client.post(PATH, raw))
        assert replies[0].status == status
        assert parts(replies[0]) == parts(replies[1])
        assert {"content-security-policy", "x-content-type-options", "allow"} <= replies[0].headers.keys()
        assert api.seen_by_django == []

    @pytest.mark.parametrize("reason", ["locked", "disk_full"])
    def test_gets_the_retry_after_of_django(
        self, api: AsgiClient, django: AsgiClient, monkeypatch: pytest.MonkeyPatch, reason: Any
    ) -> None:
        fail(monkeypatch, StoreUnavailable(reason))
        replies = [client.post(PATH, GOOD) for client in (api, django)]
        assert replies[0].problem(503, "store_unavailable")
        assert parts(replies[0]) == parts(replies[1])
        assert api.seen_by_django == []

    def test_may_arrive_in_parts(self, api: AsgiClient) -> None:
        raw = orjson.dumps(GOOD)
        split = [raw[:5], raw[5:]]
        headers = {"content-length": str(len(raw))}
        reply = api.request("POST", PATH, split, content_type="application/json", headers=headers)
        assert reply.json()["accepted"] == 1
        assert api.seen_by_django == []

    def test_that_fails_is_reported_by_django(
        self, api: AsgiClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        fail(monkeypatch, ZeroDivisionError("SECRET"))
        reply = api.post(PATH, GOOD)
        reply.problem(500, "internal")
        assert b"SECRET" not in reply.body
        assert api.seen_by_django == [PATH]

    def test_counts_for_the_same_rate_limit(self, api: AsgiClient, django: AsgiClient) -> None:
        settings = read_environment().model_copy(update={"rate_limit_ingest_per_minute": 4})
        with override_settings(LLMMONITOR=settings):
            statuses = [client.post(PATH, GOOD).status for client in (api, django, api, django)]
            assert statuses == [200] * 4
            assert api.seen_by_django == []
            replies = [client.post(PATH, GOOD) for client in (api, django, api)]
        for reply in replies:
            assert (reply.status, reply.json()["code"]) == (429, "throttled")
        assert api.seen_by_django == [PATH] * 2


class APostThatIsNotPlain:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"origin": "http://127.0.0.1:8899"}, 200),
            ({"origin": "https://evil.example"}, 403),
            ({"sec-fetch-site": "cross-site"}, 403),
            ({"cookie": "llmmonitor_session=x"}, 200),
            ({"host": "evil.example"}, 400),
            ({"host": "127.0.0.1:8899,evil"}, 400),
            ({"host": ""}, 400),
            ({"x-forwarded-for": "127.0.0.1"}, 401),
            ({"authorization": "Basic eDp5"}, 401),
            ({"expect": "100-continue"}, 200),
            ({"transfer-encoding": "chunked"}, 200),
            ({"content-type": "text/plain"}, 415),
            ({"content-type": "application/json; charset=latin-1"}, 415),
            ({"content-encoding": "br"}, 415),
            ({"content-length": "+31"}, 200),
            ({"content-length": "1"}, 200),
            ({"x-http-method-override": "GET"}, 200),
        ],
    )
    def test_is_passed_to_django(self, api: AsgiClient, headers: dict[str, str], status: int) -> None:
        reply = api.post(PATH, GOOD, **headers)
        assert reply.status == status, reply.body
        assert api.seen_by_django == [PATH]

    @pytest.mark.parametrize(
        ("scope", "status"),
        [
            ({"headers": [(b"content-type", b"application/json")]}, 415),
            ({"headers": [(b"host", b"127.0.0.1:8899")]}, 400),
            ({"root_path": "/track"}, 404),
        ],
        ids=["two types", "two hosts", "a path below another"],
    )
    def test_because_of_its_scope_is_passed_to_django(self, api: AsgiClient, scope: Any, status: int) -> None:
        reply = api.request("POST", PATH, GOOD, content_type="application/json", scope=scope)
        assert reply.status == status, reply.body
        assert api.seen_by_django == [PATH]

    def test_because_of_its_encoding_is_passed_with_its_body(self, api: AsgiClient) -> None:
        raw = gzip.compress(orjson.dumps(GOOD))
        assert api.post(PATH, raw, content_encoding="gzip").json()["accepted"] == 1
        assert api.seen_by_django == [PATH]

    def test_because_of_its_size_is_passed_with_its_body(self, api: AsgiClient) -> None:
        raw = orjson.dumps(GOOD)
        assert api.post(PATH, raw.ljust(MAX_BODY_BYTES)).json()["accepted"] == 1
        assert api.seen_by_django == []
        assert api.post(PATH, raw.ljust(MAX_BODY_BYTES + 1)).status == 200
        assert api.seen_by_django == [PATH]

    def test_because_it_has_no_length_is_passed_with_its_body(self, api: AsgiClient) -> None:
        raw = orjson.dumps(GOOD)
        reply = api.request("POST", PATH, [raw[:5], raw[5:]], content_type="application/json")
        assert reply.json()["accepted"] == 1
        assert api.seen_by_django == [PATH]

    def test_because_it_ends_early_is_not_stored(self, api: AsgiClient) -> None:
        raw = orjson.dumps(GOOD)
        headers = {"content-length": str(len(raw))}
        for part in (raw[:5], raw):
            api.request("POST", PATH, [part], content_type="application/json", headers=headers, cut_off=True)
        assert api.seen_by_django == [PATH] * 2
        assert not InferenceMetrics.objects.exists()

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", PATH), ("PUT", PATH), ("POST", f"{PATH}/"), ("POST", f"{PATH}?a=b")]
    )
    def test_because_of_its_first_line_is_passed_to_django(self, api: AsgiClient, method: str, path: str) -> None:
        reply = api.request(method, path, GOOD, content_type="application/json")
        assert reply.status == {"POST /": 404}.get(f"{method} {path[len(PATH) :]}", 200 if method == "POST" else 405)
        assert len(api.seen_by_django) == 1


class APathPrefix:
    @pytest.mark.parametrize(("prefix", "path"), [("/monitor", "/monitor" + PATH), ("/monitor", PATH), ("", PATH)])
    def test_is_served_by_the_lane(self, api: AsgiClient, prefix: str, path: str) -> None:
        api._application = add_prefix(api._application, prefix)
        with override_settings(LLMMONITOR=read_environment().model_copy(update={"path_prefix": prefix})):
            assert api.post(path, GOOD).json()["accepted"] == 1
        assert api.seen_by_django == []

    @pytest.mark.parametrize("path", ["/other" + PATH, "/monitor/monitor" + PATH, f"/monitor{PATH}/"])
    def test_that_is_not_the_configured_one_is_passed_to_django(self, api: AsgiClient, path: str) -> None:
        api._application = add_prefix(api._application, "/monitor")
        with override_settings(LLMMONITOR=read_environment().model_copy(update={"path_prefix": "/monitor"})):
            assert api.post(path, GOOD).status == 404
        assert len(api.seen_by_django) == 1

    def test_that_only_the_server_knows_is_left_to_django(self, api: AsgiClient) -> None:
        api._application = add_prefix(api._application, "/monitor")
        assert api.post(PATH, GOOD).status == 200
        assert api.seen_by_django == ["/monitor" + PATH]


class AKey:
    def make(self, *scopes: str, expired: bool = False) -> tuple[APIKey, dict[str, str]]:
        at = timezone.now()
        expires_at = at - timedelta(days=1) if expired else None
        key, token = create_key("a program", scopes, at=at, expires_at=expires_at)
        return key, {"authorization": f"Bearer {token}", "x-forwarded-for": "203.0.113.7"}

    def test_is_looked_up_by_django_and_then_known_here(self, api: AsgiClient) -> None:
        _, headers = self.make("ingest")
        assert [api.post(PATH, GOOD, **headers).status for _ in range(4)] == [200] * 4
        assert api.seen_by_django == [PATH] * 2  # the key is looked up, and then the headers of its responses are kept

    @pytest.mark.parametrize(
        "added",
        [
            {"x-real-ip": "203.0.113.7", "x-forwarded-proto": "https", "x-request-id": "from-nginx"},
            {"x-forwarded-host": "monitor.example", "x-forwarded-port": "443", "x-forwarded-server": "traefik"},
            {"x-request-id": "from-envoy", "x-envoy-expected-rq-timeout-ms": "15000", "x-envoy-internal": "true"},
            {"x-forwarded-port": "443", "x-amzn-trace-id": "Root=1-67891233-abcdef012345678912345678"},
        ],
        ids=["nginx", "Traefik", "Envoy", "AWS"],
    )
    def test_that_a_proxy_passes_on_is_known_here(self, api: AsgiClient, added: dict[str, str]) -> None:
        _, headers = self.make("ingest")
        replies = [api.post(PATH, GOOD, **headers | added) for _ in range(4)]
        assert [reply.status for reply in replies] == [200] * 4
        assert api.seen_by_django == [PATH] * 2
        assert replies[3].headers["x-request-id"] == added.get("x-request-id", replies[3].headers["x-request-id"])

    def test_gets_the_headers_of_django(self, api: AsgiClient, django: AsgiClient) -> None:
        _, of_key = self.make("ingest")
        for headers in (of_key, of_key, of_key, {}, of_key):
            of_lane, of_django = (client.post(PATH, GOOD, **headers).headers for client in (api, django))
            assert [*of_lane] == [*of_django]
            assert of_lane.get("vary") == of_django.get("vary")
        assert api.seen_by_django == [PATH] * 2

    @pytest.mark.parametrize(("scope", "expired", "status"), [("read", False, 403), ("ingest", True, 401)])
    def test_that_may_not_send_is_denied_by_django(
        self, api: AsgiClient, scope: str, expired: bool, status: int
    ) -> None:
        _, headers = self.make(scope, expired=expired)
        assert [api.post(PATH, GOOD, **headers).status for _ in range(3)] == [status] * 3
        assert api.seen_by_django == [PATH] * 3

    def test_that_is_revoked_is_denied_at_once(self, api: AsgiClient) -> None:
        key, headers = self.make("ingest")
        assert [api.post(PATH, GOOD, **headers).status for _ in range(2)] == [200] * 2
        revoke(key, actor="a test", at=timezone.now())
        assert api.post(PATH, GOOD, **headers).status == 401

    @pytest.mark.parametrize(
        ("host", "allowed"), [("evil.example", ["127.0.0.1"]), ("127.0.0.1:8899,evil", ["*"]), ("", ["*"])]
    )
    def test_for_a_host_that_is_not_allowed_is_denied_by_django(
        self, api: AsgiClient, host: str, allowed: list[str]
    ) -> None:
        _, headers = self.make("ingest")
        assert [api.post(PATH, GOOD, **headers).status for _ in range(2)] == [200] * 2
        with override_settings(ALLOWED_HOSTS=allowed):
            assert api.post(PATH, GOOD, **headers | {"host": host}).status == 400
        assert api.seen_by_django == [PATH] * 3

    def test_has_its_last_use_stored_by_django(self, api: AsgiClient) -> None:
        key, headers = self.make("ingest")
        api.post(PATH, GOOD, **headers)
        APIKey.objects.update(last_used_at=None)
        caches["keys"].delete(f"used:{key.pk}")  # a minute later
        assert api.post(PATH, GOOD, **headers).status == 200
        assert APIKey.objects.get().last_used_at is not None

    def test_that_expires_in_the_cache_at_that_moment_is_looked_up_by_django(
        self, api: AsgiClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, headers = self.make("ingest")
        api.post(PATH, GOOD, **headers)

        def find_expired(token: str, at: Any) -> Any:
            caches["keys"].clear()
            return find_key(token, at)

        monkeypatch.setattr("llmmonitor.access.identity.find_key", find_expired)
        assert api.post(PATH, GOOD, **headers).status == 200
        assert api.seen_by_django == [PATH] * 2


class TheLane:
    def test_has_no_headers_of_its_own(self, api: AsgiClient) -> None:
        first = AsgiClient()
        first._application = fast_lane(first._application)
        for _ in range(2):
            assert first.post(PATH, GOOD).status == 200
        assert first.seen_by_django == [PATH]

    @pytest.mark.parametrize(("status", "header"), [(429, b"retry-after"), (200, b"set-cookie")])
    def test_keeps_no_headers_that_are_for_one_client(self, api: AsgiClient, status: int, header: bytes) -> None:
        client = AsgiClient()
        seen = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["path"])
            await send({"type": "http.response.start", "status": status, "headers": [(header, b"1")]})
            await send({"type": "http.response.body", "body": b""})

        client._application = fast_lane(application)
        assert [client.post(PATH, GOOD).headers for _ in range(2)] == [{header.decode(): "1"}] * 2
        assert seen == [PATH] * 2

    @pytest.mark.parametrize("change", [{"fast_lane": False}, {"redis_url": "redis://127.0.0.1"}])
    def test_is_off_by_its_setting_and_with_redis(self, change: dict[str, Any]) -> None:
        def application() -> None: ...

        assert fast_lane(application) is not application
        with override_settings(LLMMONITOR=read_environment().model_copy(update=change)):
            assert fast_lane(application) is application

    def test_is_in_front_of_django_in_the_server(self, api: AsgiClient, monkeypatch: pytest.MonkeyPatch) -> None:
        from llmmonitor import asgi

        client = AsgiClient()
        client._application = asgi.application
        assert client.post(PATH, GOOD).status == 200
        monkeypatch.delattr(ASGIHandler, "__call__")
        assert client.post(PATH, GOOD).status == 200
