"""The values of the tiles in a tick, as `widgets/tiles.js` reads them of an open page. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dashboard.tiles import LastMinute, Tile
from metrics.queries import Filters

Row = Mapping[str, Any]
MINUTE_SECONDS = 60


def last_minute(tiles: Sequence[Tile], tick: Row | None, history: Row | None, filters: Filters) -> LastMinute | None:
    """Return the values of the last minute; None where they are not known.

    tick: the newest one; its `view` has the requests that match the filters. history: the series of the page.
    """
    is_filtered = filters != Filters()
    minute = (tick or {}).get("view" if is_filtered else "overall")
    if tick is None or minute is None:
        return None
    hosts = [
        host
        for host in tick.get("hosts", ())
        if host.get("state") != "down" and (not filters.host or host["host"] in filters.host)
    ]
    gpus = [gpu for host in hosts for gpu in host.get("gpu_metrics") or ()]

    def value(tile: Tile) -> float | None:
        first, _, second = tile.tick.partition(".")
        if first in ("hosts", "gpus"):
            return _average(row.get(second) for row in (hosts if first == "hosts" else gpus))
        if first == "queue":
            return _newest(tile, history) if is_filtered else tick.get("queue", {}).get(second)
        of_requests = minute.get(first)
        return (of_requests or {}).get(second) if second else of_requests

    requests = round(MINUTE_SECONDS * (minute.get("requests_per_second") or 0))
    return LastMinute({tile.id: value(tile) for tile in tiles}, requests)


def _average(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _newest(tile: Tile, history: Row | None) -> float | None:
    """Return the newest value of the tile's series, if one of its two newest buckets has one."""
    for line in (history or {}).get("series", ()):
        if (line["metric"], line["stat"]) == (tile.series.metric.name, tile.series.stat) and not line["labels"]:
            return next((value for value in reversed(line["values"][-2:]) if value is not None), None)
    return None
