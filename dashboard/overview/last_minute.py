"""The values of the tiles in a tick, as `widgets/tiles.js` reads them of an open page. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dashboard.tiles import LastMinute, Tile
from metrics.queries import OTHERS, Filters

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
    busiest: dict[str, tuple[str, float]] = {}
    for tile in tiles:
        if tile.tick.startswith(("hosts.", "gpus.")):
            values = _of_lines(tile, history) if tick.get("hosts_omitted") else _of_hosts(tile, hosts)
            if values:
                host = min(values, key=lambda name: (-values[name], name))
                busiest[tile.id] = host, values[host]

    def value(tile: Tile) -> float | None:
        first, _, second = tile.tick.partition(".")
        if first in ("hosts", "gpus"):
            return busiest.get(tile.id, (None, None))[1]
        if first == "queue":
            return _newest(tile, history) if is_filtered else tick.get("queue", {}).get(second)
        of_requests = minute.get(first)
        return (of_requests or {}).get(second) if second else of_requests

    requests = round(MINUTE_SECONDS * (minute.get("requests_per_second") or 0))
    names = {tile_id: name for tile_id, (name, _) in busiest.items()}
    return LastMinute({tile.id: value(tile) for tile in tiles}, requests, names)


def _of_hosts(tile: Tile, hosts: Iterable[Row]) -> dict[str, float]:
    """Return the value of each host that has one: its own, or the average of its GPUs."""
    first, _, name = tile.tick.partition(".")
    values = {
        host["host"]: _average(row.get(name) for row in ([host] if first == "hosts" else host.get("gpu_metrics") or ()))
        for host in hosts
    }
    return {host: value for host, value in values.items() if value is not None}


def _of_lines(tile: Tile, history: Row | None) -> dict[str, float]:
    """Return the newest value of each host with a line. A tick does not have all of very many hosts."""
    series = (tile.series.metric.name, tile.series.stat)
    values = {
        line["labels"]["host"]: next((value for value in reversed(line["values"][-2:]) if value is not None), None)
        for line in (history or {}).get("series", ())
        if (line["metric"], line["stat"]) == series and line["labels"].get("host", OTHERS) != OTHERS
    }
    return {host: value for host, value in values.items() if value is not None}


def _average(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _newest(tile: Tile, history: Row | None) -> float | None:
    """Return the newest value of the tile's series, if one of its two newest buckets has one."""
    for line in (history or {}).get("series", ()):
        if (line["metric"], line["stat"]) == (tile.series.metric.name, tile.series.stat) and not line["labels"]:
            return next((value for value in reversed(line["values"][-2:]) if value is not None), None)
    return None
