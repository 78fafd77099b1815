"""What becomes of errors beyond the limit on their groups."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import Sum

from metrics.models import ErrorGroup, ErrorGroupRollup, ErrorMetrics
from metrics.store.labels.interning import COUNT_INTERVAL
from metrics.store.upkeep import maintenance
from metrics.store.writing.fingerprint import MAX_MESSAGE, OTHER
from metrics.store.writing.transaction import Store
from tests.metrics.store.stored import NOW, assert_raw_and_rollups_agree, before, commit, error, limited, outcomes

pytestmark = [pytest.mark.store, pytest.mark.django_db]


def groups() -> dict[tuple[str, str], int]:
    """How many errors each group counts, by its type and message."""
    counted = ErrorGroupRollup.objects.values_list("group__error_type", "group__message").annotate(n=Sum("count"))
    return {(kind, message): count for kind, message, count in counted if count}


class AnErrorBeyondTheLimit:
    def test_is_counted_with_the_others_of_its_type(self) -> None:
        with limited(1):
            commit(*(error(f"r{word}", error_type="E", error_message=word) for word in "abc"))
            commit(error("rd", error_type="E", error_message="d"), error("again", error_type="E", error_message="a"))
        assert groups() == {("E", "a"): 2, ("E", OTHER): 3}
        assert outcomes() == {"server_error": 5}
        assert_raw_and_rollups_agree()

    def test_is_counted_with_all_others_when_its_type_is_beyond_the_limit_too(self) -> None:
        with limited(2):
            for kind in "ABCDEFG":
                commit(error(f"r{kind}", error_type=kind))
        assert groups() == {("A", ""): 1, ("B", ""): 1, ("C", OTHER): 1, ("D", OTHER): 1, (OTHER, OTHER): 3}
        assert_raw_and_rollups_agree()

    def test_keeps_its_own_row_and_message(self) -> None:
        with limited(1):
            commit(*(error(f"r{word}", error_type="E", error_message=word) for word in "abc"))
        assert list(ErrorMetrics.objects.order_by("pk").values_list("error_type", "error_message")) == [
            ("E", "a"),
            ("E", "b"),
            ("E", "c"),
        ]

    def test_widens_the_times_of_the_group_that_it_shares(self) -> None:
        with limited(1):
            commit(error("first"))
            for batch in ((3,), (2, 5)):
                commit(*(error(f"r{hours}", before(hours=hours), error_message="x" * hours) for hours in batch))
        group = ErrorGroup.objects.get(message=OTHER)
        assert (group.first_seen, group.last_seen) == (before(hours=5), before(hours=2))

    def test_is_no_other_one_because_its_words_are_those_of_the_shared_group(self) -> None:
        """A client that says `__other__` with a trace of its own each time makes no more groups than any other."""
        with limited(1):
            for place in "abcd":
                commit(error(place, error_type=OTHER, error_message=OTHER, stack_trace=f"in {place}"))
        assert ErrorGroup.objects.count() == 2


class TheRoomForGroups:
    def test_comes_back_with_retention(self) -> None:
        later = NOW + timedelta(days=1_000)
        with limited(1):
            at = NOW
            store = Store(clock=lambda: at)
            store.commit([error("old", error_type="A")])
            store.commit([error("beyond", error_type="B")])
            maintenance.maintain(later, 10.0)
            assert not ErrorGroup.objects.exists()
            at = later + COUNT_INTERVAL
            store.commit([error("new", later, error_type="C"), error("over", later, error_type="D")])
        assert groups() == {("C", ""): 1, ("D", OTHER): 1}


class TheMessageOfAGroup:
    def test_is_the_beginning_of_a_long_one(self) -> None:
        text = "no tenant " + "x y " * 400
        commit(error("a", error_message=text), error("b", error_message=text + "and more"))
        shown = {group.message for group in ErrorGroup.objects.all()}
        assert ErrorGroup.objects.count() == 2
        assert shown == {text[: MAX_MESSAGE - 1] + "…"}
        assert ErrorMetrics.objects.get(request_id="a").error_message == text
