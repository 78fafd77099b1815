"""The sentence at the top of the Machines page."""

from __future__ import annotations

from typing import Any

from dashboard.machines.sentence import describe_machines
from dashboard.sentence import Sentence


def host(name: str, cpu: float = 20.0, gpus: tuple[float, ...] = (), **more: Any) -> dict[str, Any]:
    samples = [
        {"gpu_id": number, "utilization_percent": value, "temperature": 60 + number, "power_draw_watts": 300.0}
        for number, value in enumerate(gpus)
    ]
    return {
        "host": name, "state": "up", "at": "2026-03-01T14:03:00Z", "cpu_percent": cpu, "gpu_metrics": samples, **more
    }  # fmt: skip


def alert(metric: str = "gpu.temperature", severity: str = "warning", **more: Any) -> dict[str, Any]:
    return {
        "rule": metric, "name": "GPU Overheating", "severity": severity, "state": "firing", "kind": "threshold",
        "metric_name": metric, "stat": "avg", "unit": "°C", "value": 91.0, "peak": 92.0, "threshold": 85.0,
        "labels": {"host": "a", "gpu": "0"}, "from": "2026-03-01T14:21:00Z", "since": "2026-03-01T14:21:00Z",
        "to": None, "filters": {}, **more,
    }  # fmt: skip


def text_of(sentence: Sentence) -> str:
    return f"{sentence.title} {sentence.text}".replace("\u00a0", " ")


class TheSentence:
    def test_states_that_the_machines_are_well_and_which_is_the_busiest(self) -> None:
        sentence = describe_machines([host("a", gpus=(55.0, 40.0)), host("b", cpu=30.0)], (), ())

        assert sentence.state == "ok"
        assert text_of(sentence) == (
            "Both machines are well. The busiest is GPU 0 of a: utilisation 55 %. "
            "The hottest GPU has 61 °C; the GPUs draw 600 W."
        )

    def test_names_what_works_at_its_limit(self) -> None:
        title = describe_machines([host("a", cpu=97.0)], (), ()).title.replace("\u00a0", " ")

        assert title == "a works at its limit: CPU 97 %."

    def test_has_the_power_limit_where_all_gpus_have_one(self) -> None:
        known = host("a", gpus=(10.0, 20.0))
        for gpu in known["gpu_metrics"]:
            gpu["power_limit_watts"] = 700.0
        assert "the GPUs draw 600 W of 1.40 kW." in text_of(describe_machines([known], (), ()))

        del known["gpu_metrics"][1]["power_limit_watts"]
        assert "the GPUs draw 600 W." in text_of(describe_machines([known], (), ()))

    def test_warns_of_machines_that_are_silent(self) -> None:
        hosts = [host("a"), host("b", state="down"), host("c")]

        sentence = describe_machines(hosts, (), ())

        assert sentence.state == "warning"
        assert text_of(sentence).startswith("b sends no samples since 2026-03-01T14:03:00Z. 2 machines are up.")

        many = [host(name, state="stale") for name in "abcde"]
        assert describe_machines(many, (), ()).title == "a, b, c and 2 more send no samples."

    def test_begins_with_the_most_severe_alert_of_a_machine(self) -> None:
        others = [
            alert("inference.response_time_ms", "critical"),
            alert("system.cpu_percent", "critical", to="2026-03-01T14:22:00Z"),
            alert("system.cpu_percent", state="pending"),
        ]
        critical = alert("gpu.temperature", "critical", labels={"host": "b", "gpu": "3"})

        sentence = describe_machines([host("a")], (), [*others, alert(), critical])

        assert sentence.state == "critical"
        assert sentence.title.startswith("GPU 3 of b is hot")
        assert sentence.text.startswith("GPU Overheating for GPU 0 of a fires, too.")

    def test_does_not_name_the_busiest_device_twice(self) -> None:
        sentence = describe_machines([host("a", gpus=(99.0,))], (), [alert()])

        assert "busiest" not in sentence.text

    def test_is_about_the_chosen_machines_and_about_example_machines_only_without_others(self) -> None:
        hosts = [host("a"), host("demo", cpu=99.0, is_demo=True)]

        assert describe_machines(hosts, (), ()).title == "a is well."
        assert "demo works at its limit" in describe_machines(hosts, ("demo",), ()).title
        assert describe_machines(hosts, ("gone",), ()).title == "No machine with this name sends samples."

    def test_names_no_state_of_now_for_a_window_that_has_passed(self) -> None:
        sentence = describe_machines([host("a", state="down")], (), [alert()], past=True)

        assert sentence.state == "quiet"
        assert "no samples" not in text_of(sentence)
