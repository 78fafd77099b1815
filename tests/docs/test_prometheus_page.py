"""docs/prometheus.md and the dashboard for Grafana name what `GET /metrics` has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from metrics import exposition

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "docs" / "grafana" / "llm-monitor.json"
SUFFIXES = {"counter": ("_total",), "info": ("_info",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


@pytest.fixture
def families(db: None) -> list[Any]:
    """All families; those without figures, too."""
    return exposition.collect(datetime.now(UTC))


def expected_rows(families: list[Any]) -> Iterator[str]:
    for family in families:
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        labels = ["version"] if family.type == "info" else family._labelnames
        listed = ", ".join(f"`{label}`" for label in labels)
        yield f"| `{name}` | {'gauge' if family.type == 'info' else family.type} | {listed} | {family.documentation} |"


class ThePage:
    def test_lists_every_metric(self, families: list[Any]) -> None:
        page = (ROOT / "docs" / "prometheus.md").read_text(encoding="utf-8")
        rows = [line for line in page.splitlines() if line.startswith("| `llmmonitor_")]
        assert rows == list(expected_rows(families))

    def test_uses_only_names_of_metrics_in_its_examples(self, families: list[Any]) -> None:
        page = (ROOT / "docs" / "prometheus.md").read_text(encoding="utf-8")
        (block,) = re.findall(r"```promql\n(.*?)```", page, re.DOTALL)
        assert used_names(block)
        assert used_names(block) <= names_of(families)


class TheDashboard:
    """Grafana's import reads these fields (schema version 39, Grafana 10 and later)."""

    @pytest.fixture
    def dashboard(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
        return loaded

    def test_can_be_imported_with_any_data_source(self, dashboard: dict[str, Any]) -> None:
        assert dashboard["id"] is None
        assert dashboard["schemaVersion"] >= 36
        (source,) = [one for one in dashboard["templating"]["list"] if one["type"] == "datasource"]
        assert (source["name"], source["query"]) == ("datasource", "prometheus")
        wanted = {"type": "prometheus", "uid": "${datasource}"}
        queried = [one for one in dashboard["templating"]["list"] if one["type"] == "query"]
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        parts = [*queried, *panels, *(target for panel in panels for target in panel["targets"])]
        assert all(part["datasource"] == wanted for part in parts)
        assert {panel["type"] for panel in panels} <= {
            one["id"] for one in dashboard["__requires"] if one["type"] == "panel"
        }

    def test_has_panels_that_do_not_overlap(self, dashboard: dict[str, Any]) -> None:
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in panels)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24

    def test_names_only_metrics_and_labels_that_exist(self, dashboard: dict[str, Any], families: list[Any]) -> None:
        labels = {
            family.name + suffix: {*getattr(family, "_labelnames", ()), "le"}
            for family in families
            for suffix in SUFFIXES[family.type]
        }
        targets = [target for panel in dashboard["panels"] for target in panel.get("targets", ())]
        assert len(targets) > 30
        for target in targets:
            names = used_names(target["expr"])
            assert names
            assert names <= labels.keys(), target
            selectors = re.findall(r"\{([^}]*)\}", target["expr"])
            used = {label for own in selectors for label in re.findall(r"(\w+)(?:=|!)", own)}
            used |= {label for by in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in by.split(", ")}
            used |= set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert all(used <= labels[name] for name in names), target
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                (name,) = used_names(variable["definition"])
                assert variable["name"] in labels[name]


def used_names(expression: str) -> set[str]:
    return set(re.findall(r"\bllmmonitor_\w+", expression))


def names_of(families: list[Any]) -> set[str]:
    return {family.name + suffix for family in families for suffix in SUFFIXES[family.type]}
