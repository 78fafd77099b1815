"""How often one key, person or address may call."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from llmmonitor.access.keys import create_key
from llmmonitor.access.throttles import address_group, count_request, wait_seconds
from tests.llmmonitor.access.asgi_requests import ELSEWHERE, bearer, send_request, session_of

MINUTE = 60.0


class AWindowOfSixtySeconds:
    def test_allows_the_limit_and_no_more(self) -> None:
        waits = [count_request("test", "me", 5, 1000 * MINUTE + second) for second in range(7)]

        assert waits[:5] == [0] * 5
        assert all(wait > 0 for wait in waits[5:])

    def test_allows_no_second_burst_at_the_turn_of_the_minute(self) -> None:
        for _ in range(5):
            count_request("test", "me", 5, 1000 * MINUTE + 59)

        assert count_request("test", "me", 5, 1001 * MINUTE + 1) > 0

    def test_counts_each_caller_for_itself(self) -> None:
        for _ in range(5):
            count_request("test", "me", 5, 0)

        assert count_request("test", "you", 5, 0) == 0
        assert count_request("other", "me", 5, 0) == 0

    def test_gives_its_share_to_one_who_keeps_on_asking(self) -> None:
        allowed = [count_request("test", "me", 6, second) == 0 for second in range(600)]

        assert 48 <= sum(allowed) <= 60  # six a minute for ten minutes

    @given(
        limit=st.integers(1, 1000),
        previous=st.integers(0, 1000),
        current=st.integers(1, 1100),
        elapsed=st.floats(0, 59.9),
    )
    def test_is_free_again_after_the_wait_it_names(
        self, limit: int, previous: int, current: int, elapsed: float
    ) -> None:
        previous = min(previous, limit)
        wait = wait_seconds(previous, current, elapsed, limit)

        assert 0 <= wait <= 2 * MINUTE
        if wait and elapsed + wait < MINUTE:
            # Refused calls do not count, so this minute holds what it held; rounding asks for a hair more.
            assert wait_seconds(previous, current, elapsed + wait + 1e-6, limit) == 0
        elif wait:
            later = elapsed + wait - MINUTE + 1e-6
            assert wait_seconds(min(current - 1, limit), 1, later, limit) == 0


class AnAddress:
    @pytest.mark.parametrize(
        ("address", "group"),
        [
            ("203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002::/64"),
            ("2001:db8:1:2::1", "2001:0db8:0001:0002::/64"),
            ("fe80::1%eth0", "fe80:0000:0000:0000::/64"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            (None, "unknown"),
        ],
    )
    def test_is_counted_as_the_one_who_has_it(self, address: str | None, group: str) -> None:
        assert address_group(address) == group


@pytest.mark.django_db
@pytest.mark.urls("tests.llmmonitor.access.access_urls")
class ACallerWhoCallsTooOften:
    @pytest.fixture(autouse=True)
    def three_a_minute(self, settings: Settings) -> None:
        few = {"rate_limit_ingest_per_minute": 3, "rate_limit_read_per_minute": 3}
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update=few)

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", "/read"), ("POST", "/ingest"), ("GET", "/"), ("GET", "/async")]
    )
    def test_is_told_when_to_come_back(self, method: str, path: str) -> None:
        replies = [send_request(method, path) for _ in range(4)]

        assert [reply.status for reply in replies] == [200, 200, 200, 429]
        assert 1 <= int(replies[-1].headers["retry-after"]) <= 120
        assert replies[-1].headers["content-type"].startswith("application/problem+json")

    def test_with_one_key_leaves_another_key_its_share(self) -> None:
        one, other = (create_key(name, ["read"], at=timezone.now())[1] for name in ("one", "other"))
        statuses = [send_request("GET", "/read", headers=bearer(one), client=ELSEWHERE).status for _ in range(4)]

        assert statuses[-1] == 429
        assert send_request("GET", "/read", headers=bearer(other), client=ELSEWHERE).status == 200

    def test_is_the_same_key_from_another_address(self) -> None:
        headers = bearer(create_key("one", ["read"], at=timezone.now())[1])
        statuses = [
            send_request("GET", "/read", headers=headers, client=f"203.0.113.{last}").status for last in range(4)
        ]

        assert statuses[-1] == 429

    def test_is_the_same_person_in_another_browser(self, viewer: User) -> None:
        statuses = [send_request("GET", "/read", headers=session_of(viewer), client=ELSEWHERE).status for _ in range(4)]

        assert statuses[-1] == 429

    def test_may_still_send_events_when_the_reads_are_used_up(self) -> None:
        for _ in range(4):
            send_request("GET", "/read")

        assert send_request("POST", "/ingest").status == 200

    @pytest.mark.parametrize("path", ["/read", "/"])
    def test_with_wrong_keys_is_stopped_too(self, path: str) -> None:
        guesses = [bearer("llmm_" + str(number) * 43) for number in range(4)]

        assert [send_request("GET", path, headers=guess, client=ELSEWHERE).status for guess in guesses] == [
            401,
            401,
            401,
            429,
        ]


class TheDefault:
    def test_lets_one_loopback_client_post_as_fast_as_the_store_commits(self, settings: Settings) -> None:
        # Single posts measured in front of Django, the fastest door there will be: 3,660 a second.
        assert settings.LLMMONITOR.rate_limit_ingest_per_minute > 3_660 * 60
