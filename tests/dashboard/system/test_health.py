"""The parts of the monitor, and the sentence about all of them."""

from __future__ import annotations

from typing import Any

from dashboard.formatting import SPACE
from dashboard.system.health import Part, describe, load_of, parts_of
from llmmonitor.infra.telemetry import Telemetry, Totals
from metrics.queries import Availability
from metrics.readiness import PARTS

HOST = {
    "host": "api-host",
    "cpu_count": 8.0,
    "memory_total_gb": 16.0,
    "monitor_cpu_percent": 15.2,
    "monitor_memory_mb": 312.0,
}
DAY = 86_400


def report(status: str = "failing", **details: str) -> dict[str, Any]:
    """Return a report of readiness in which these parts have another status than `ok`."""
    parts = {
        name: {"status": status, "ms": 2_000.0, "detail": details[name]}
        if name in details
        else {"status": "ok", "ms": 1.0}
        for name in PARTS
    }
    return {"status": "failing" if details and status == "failing" else "ok", "parts": parts}


def sentence(
    of_parts: dict[str, Any] | None = None,
    *more: Part,
    totals: Totals = Totals(),  # noqa: B008 (frozen)
    availability: tuple[Availability, ...] = (),
) -> tuple[str, str, str]:
    described = describe(parts_of(of_parts or report(), more), load_of([HOST]), totals, availability)
    return described.state, described.title.replace(SPACE, " "), described.text.replace(SPACE, " ")


class TheSentence:
    def test_tells_what_the_monitor_takes_of_its_machine(self) -> None:
        assert sentence()[:2] == ("ok", "The monitor is well. It takes 1.9 % of api-host.")

    def test_names_the_parts_that_fail(self) -> None:
        state, title, _ = sentence(report(write="database is locked", recorder="stuck"))

        assert state == "critical"
        assert title == ("The monitor is not well: the store accepts no events and events wait and are not committed.")

    def test_names_the_parts_that_need_attention_while_events_are_stored(self) -> None:
        late = Part("Scheduler", "late: tick", problem="tick is late")
        backup = Part("Backup", "the newest attempt failed", problem="the backup failed")

        assert sentence(report("warning", disk="No such directory"), late, backup)[:2] == (
            "warning",
            "The monitor is not well: requests and errors cannot be archived, tick is late and the backup failed.",
        )

    def test_begins_with_what_the_monitor_cannot_work_without(self) -> None:
        backup = Part("Backup", "the newest attempt failed", problem="the newest backup failed")
        state, title, _ = sentence(report(cache="lost"), backup)

        assert state == "critical"
        assert title == "The monitor is not well: the cache does not work and the newest backup failed."

    def test_tells_what_became_of_the_events(self) -> None:
        work = Telemetry()
        work.count("events", "accepted", 997_880)
        work.count("events", "duplicate", 1_204)
        work.count("rejected_events", "timestamp", 18)
        work.count("refused_posts", "queue_full")

        assert sentence(totals=work.totals())[2] == (
            "997,880 events stored since the start, 18 rejected as invalid, 1 post rejected as a whole, "
            "1,204 sent again and stored once."
        )

    def test_tells_when_the_monitor_was_down(self) -> None:
        once = Availability("", 0, 10 * DAY, ((100, 180),))
        often = Availability("", 0, 10 * DAY, ((100, 180), (200, 240), (300, 301)))
        never = Availability("", 0, 10 * DAY)

        assert sentence(availability=(once,))[2].endswith("It was down once in 30 days, for 1 m 20 s.")
        assert sentence(availability=(Availability("", 0, 10 * DAY, ((100, 149),)),))[2].endswith("for 49 s.")
        assert sentence(availability=(often,))[2].endswith("It was down 3 times in 30 days, for 2 m 1 s.")
        assert sentence(availability=(never,))[2].endswith("It was never down in 30 days.")
        assert "never" not in sentence(availability=(Availability("", 0, 600),))[2]


class TheParts:
    def test_are_those_of_the_readiness(self) -> None:
        shown = parts_of(report(disk="Only 1 GiB are free"), [])

        assert len(shown) == len(PARTS)
        assert [(part.title, part.text) for part in shown if part.problem] == [("Disk", "Only 1 GiB are free")]
        assert shown[0].title == "Store"

    def test_have_the_time_of_their_check_in_whole_units(self) -> None:
        of_parts = report()
        for part, ms in zip(of_parts["parts"].values(), (0.0, 0.3, 9.0, 69.5, 2_000.0, 12.34), strict=False):
            part["ms"] = ms

        took = {part.took.replace(SPACE, " ") for part in parts_of(of_parts, [])}

        assert took == {"<1 ms", "9 ms", "70 ms", "2 s", "12 ms"}

    def test_that_are_new_come_last_under_their_own_name(self) -> None:
        of_parts = report()
        of_parts["parts"]["a-new-one"] = {"status": "ok", "ms": 1.0}

        assert parts_of(of_parts, [])[-1].title == "a-new-one"


class TheLoad:
    def test_is_that_of_the_host_of_the_monitor(self) -> None:
        load = load_of([{"host": "other", "cpu_count": 2}, HOST])

        assert load is not None
        assert (load.host, load.cpu_percent, load.memory_percent) == ("api-host", 1.9, 100 * 312 / (1024 * 16))

    def test_is_not_known_without_a_sample_of_it(self) -> None:
        assert load_of([{"host": "other"}]) is None
