"""The life of an API key."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import caches
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from llmmonitor.access import keys
from llmmonitor.access.models import APIKey, AuditEntry
from tests.llmmonitor.access.asgi_requests import ELSEWHERE, bearer, send_request

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.llmmonitor.access.access_urls")]
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


class ANewKey:
    def test_has_256_random_bits_and_a_start_to_know_it_by(self) -> None:
        key, token = keys.create_key("agent", ["ingest"], at=NOW)

        assert keys.TOKEN_PATTERN.fullmatch(token)
        assert len(token) - len(keys.TOKEN_PREFIX) == 43  # base64 of 32 bytes
        assert token.startswith(key.prefix)
        assert keys.create_key("agent", ["ingest"], at=NOW)[1] != token

    def test_is_stored_as_its_hash_alone(self) -> None:
        key, token = keys.create_key("agent", ["ingest"], at=NOW)

        row = APIKey.objects.filter(pk=key.pk).values().get()
        assert row["hash"] == hashlib.sha256(token.encode()).hexdigest()
        assert not [value for value in row.values() if isinstance(value, str) and token[len(key.prefix) :] in value]

    def test_is_in_the_audit_log_without_its_secret(self) -> None:
        key, token = keys.create_key("agent", ["ingest"], at=NOW)

        entry = AuditEntry.objects.get()
        assert (entry.action, entry.subject) == ("created key", f"agent ({key.prefix}…)")
        assert token not in entry.subject

    @pytest.mark.parametrize("scopes", [[], ["admin"], ["read", "write"]])
    def test_needs_scopes_that_are_known(self, scopes: list[str]) -> None:
        with pytest.raises(ValidationError, match="ingest, read, manage"):
            keys.create_key("agent", scopes, at=NOW)
        assert not APIKey.objects.exists()


class AKey:
    @pytest.fixture
    def token(self) -> str:
        return keys.create_key("agent", ["read"], at=NOW)[1]

    def test_opens_what_its_scopes_say(self, token: str) -> None:
        reply = send_request("GET", "/read", headers=bearer(token), client=ELSEWHERE)

        assert (reply.status, reply.json()) == (200, {"who": "key"})
        refused = send_request("POST", "/ingest", headers=bearer(token), client=ELSEWHERE)
        assert refused.status == 403
        assert "a key with the scope ingest" in refused.json()["detail"]

    def test_may_have_several_scopes(self) -> None:
        token = keys.create_key("both", ["read", "ingest"], at=NOW)[1]

        assert send_request("GET", "/read", headers=bearer(token), client=ELSEWHERE).status == 200
        assert send_request("POST", "/ingest", headers=bearer(token), client=ELSEWHERE).status == 200

    def test_is_looked_up_once_in_five_seconds(self, token: str) -> None:
        keys.find_key(token, NOW)

        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert keys.find_key(token, NOW + timedelta(seconds=4)) is not None
        assert len(queries) == 0

    def test_that_nobody_made_is_looked_up_once_too(self) -> None:
        unknown = keys.TOKEN_PREFIX + "x" * 43
        assert keys.find_key(unknown, NOW) is None

        with CaptureQueriesContext(connection) as queries:
            assert keys.find_key(unknown, NOW) is None
        assert len(queries) == 0

    @pytest.mark.parametrize(
        "text", ["", "llmm_", "x" * 48, "llmm_" + "x" * 44, "llmm_" + "é" * 43, "llmm_" + "x" * 42 + "\n"]
    )
    def test_of_another_form_is_not_looked_up_at_all(self, text: str) -> None:
        with CaptureQueriesContext(connection) as queries:
            assert keys.find_key(text, NOW) is None
        assert len(queries) == 0


class AnExpiredKey:
    def test_opens_nothing_from_its_last_instant_on_even_while_it_is_cached(self) -> None:
        end = NOW + timedelta(hours=1)
        token = keys.create_key("agent", ["read"], at=NOW, expires_at=end)[1]

        assert keys.find_key(token, end - timedelta(microseconds=1)) is not None
        assert keys.find_key(token, end) is None


class ARevokedKey:
    def test_opens_nothing_at_once_in_the_process_that_revoked_it(self) -> None:
        key, token = keys.create_key("agent", ["read"], at=NOW)
        assert send_request("GET", "/read", headers=bearer(token)).status == 200

        keys.revoke(key, actor="ada", at=NOW)

        assert send_request("GET", "/read", headers=bearer(token)).status == 401
        assert AuditEntry.objects.first().action == "revoked key"

    def test_opens_nothing_elsewhere_when_the_cache_has_forgotten_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        key, token = keys.create_key("agent", ["read"], at=NOW)
        remembered: list[float] = []
        cache = caches["keys"]
        monkeypatch.setattr(cache, "set", lambda name, value, seconds: remembered.append(seconds))
        keys.find_key(token, NOW)

        APIKey.objects.filter(pk=key.pk).update(revoked_at=NOW)  # another process did it: nothing here was told

        assert remembered == [keys.LOOKUP_SECONDS] == [5]
        assert keys.find_key(token, NOW) is None

    def test_stays_in_the_list(self) -> None:
        key, _ = keys.create_key("agent", ["read"], at=NOW)
        keys.revoke(key, actor="ada", at=NOW)

        key.refresh_from_db()
        assert (key.revoked_at, key.is_valid(NOW)) == (NOW, False)


class TheLastUse:
    def test_is_written_once_a_minute_at_most(self) -> None:
        key, token = keys.create_key("agent", ["read"], at=NOW)

        for seconds in (0, 20, 59, 61):
            if seconds == 61:
                caches["keys"].clear()  # time passes for the clock that is handed in, not for the cache
            keys.find_key(token, NOW + timedelta(seconds=seconds))
            key.refresh_from_db()
            assert key.last_used_at == (NOW if seconds < 60 else NOW + timedelta(seconds=61))

    def test_is_written_once_a_minute_even_when_the_cache_forgets(self) -> None:
        key, token = keys.create_key("agent", ["read"], at=NOW)
        keys.find_key(token, NOW)

        caches["keys"].clear()
        keys.find_key(token, NOW + timedelta(seconds=30))

        key.refresh_from_db()
        assert key.last_used_at == NOW


class APresentedCredential:
    """It decides: on loopback, where none is needed, and beside a session, too."""

    @pytest.mark.parametrize(
        "header",
        [
            "Bearer llmm_" + "x" * 43,
            "Bearer",
            "Bearer ",
            "",
            "Basic YWRtaW46YWRtaW4=",
            "Token abc",
            "Bearer llmm_" + "x" * 43 + ", Bearer llmm_" + "y" * 43,
        ],
    )
    def test_that_is_wrong_is_refused_on_loopback(self, header: str) -> None:
        for path in ("/read", "/"):
            reply = send_request("GET", path, headers={"Authorization": header})
            assert reply.status == 401, path
            assert reply.headers["www-authenticate"] == "Bearer"

    def test_gives_a_key_on_loopback_its_own_rights_and_no_more(self) -> None:
        ingest = keys.create_key("agent", ["ingest"], at=NOW)[1]

        assert send_request("GET", "/read", headers=bearer(ingest)).status == 403
        assert send_request("GET", "/", headers=bearer(ingest)).status == 403
        assert send_request("POST", "/ingest", headers=bearer(ingest)).status == 200

    def test_may_be_written_in_any_case(self) -> None:
        token = keys.create_key("agent", ["read"], at=NOW)[1]

        assert (
            send_request("GET", "/read", headers={"Authorization": f"bearer  {token}"}, client=ELSEWHERE).status == 200
        )


class ATemporaryKey:
    def test_is_gone_after_its_block(self) -> None:
        with keys.temporary_key("demo", ["ingest"]) as token:
            assert keys.find_key(token, NOW) is not None
        assert keys.find_key(token, NOW) is None
        assert not APIKey.objects.exists()

    def test_is_gone_also_when_the_block_fails(self) -> None:
        with pytest.raises(RuntimeError), keys.temporary_key("demo", ["ingest"]):
            raise RuntimeError
        assert not APIKey.objects.exists()

    def test_replaces_one_that_a_killed_process_left_and_no_key_of_a_person(self) -> None:
        left, _ = keys.create_key("demo", ["ingest"], at=NOW, temporary=True)
        kept, _ = keys.create_key("demo", ["ingest"], at=NOW)

        with keys.temporary_key("demo", ["ingest"]):
            names = set(APIKey.objects.values_list("pk", flat=True))

        assert left.pk not in names
        assert kept.pk in names
