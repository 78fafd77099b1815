"""What Prometheus reads from `GET /metrics`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from metrics import exposition

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
Labels = frozenset[tuple[str, str]]


class Scrape:
    """The samples of an exposition, by name and labels."""

    def __init__(self, text: str, *, is_openmetrics: bool = False) -> None:
        parse = openmetrics.text_string_to_metric_families if is_openmetrics else parser.text_string_to_metric_families
        self.families = list(parse(text))
        self.samples: dict[tuple[str, Labels], float] = {}
        for family in self.families:
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in self.samples, key  # Prometheus rejects the whole page
                self.samples[key] = sample.value

    @classmethod
    def at(cls, at: datetime) -> Scrape:
        """Return what is scraped at a time."""
        body, _ = exposition.render(at, "")
        return cls(body.decode())

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a name that have these labels."""
        return sum(value for (own, of), value in self.samples.items() if own == name and of >= labels.items())

    def values(self, name: str, label: str) -> set[str]:
        """Return the values that a label has in the samples of a name."""
        return {dict(of)[label] for own, of in self.samples if own == name}

    def counters(self) -> Iterator[tuple[tuple[str, Labels], float]]:
        """Yield the samples of requests that must not fall."""
        for family in self.families:
            for sample in family.samples if family.type in ("counter", "histogram") else ():
                if "model" in sample.labels:
                    yield (sample.name, frozenset(sample.labels.items())), sample.value

    def quantile(self, name: str, share: float, earlier: Scrape | None = None, **labels: str) -> tuple[float, float]:
        """Return the bounds of the bucket that has the quantile of a histogram, or of its increase since `earlier`."""
        counts: dict[float, float] = {0.0: 0.0}
        for (own, of), value in self.samples.items():
            if own == f"{name}_bucket" and of >= labels.items():
                bound = float(dict(of)["le"])
                counts[bound] = counts.get(bound, 0) + value - (earlier.samples.get((own, of), 0) if earlier else 0)
        wanted = share * counts[float("inf")]
        return next((low, high) for low, high in pairwise(sorted(counts)) if counts[high] >= wanted)


def fallen(before: Scrape, after: Scrape) -> list[tuple[tuple[str, Labels], float, float | None]]:
    """Return the counters that are lower, or missing, in `after`."""
    return [
        (key, value, after.samples.get(key)) for key, value in before.counters() if value > after.samples.get(key, -1.0)
    ]
