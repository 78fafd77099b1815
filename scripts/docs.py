"""Writes the pages of docs/ that come from the code: docs/metrics.md and docs/configuration.md.

    python scripts/docs.py [--check]

The metrics come from `metrics/catalogue.py`, the variables from `llmmonitor/environment.py`. ``--check`` writes nothing
and exits with 1 when a page is not what the code says; a test does the same.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from llmmonitor import environment  # noqa: E402
from metrics import catalogue  # noqa: E402
from metrics.catalogue import Combine, Kind, Metric  # noqa: E402

GENERATED = "<!-- Written by `make docs` from {source}. Change it there. -->"

TYPE_TITLES = {
    "inference": "Requests",
    "error": "Errors",
    "queue": "Queues",
    "system": "Machines",
    "gpu": "GPUs",
    "engine": "Serving engines",
    "monitor": "This monitor",
}
KIND_MEANINGS = {
    Kind.HISTOGRAM: "a distribution over requests; any percentile from `p0` to `p99.999`",
    Kind.COUNT: "how many, or how much in all",
    Kind.RATIO: "one count over another, in percent",
    Kind.GAUGE: "a level that was sampled",
    Kind.COUNTER: "a total since some start, sampled; its rate is how fast it grows",
}
COMBINE_MEANINGS = {
    Combine.SUM: "added up: two queues of 3 are a queue of 6",
    Combine.MEAN: "the mean: two engines at 40 % are at 40 %, not at 80 %",
    Combine.MAX: "the largest: of two GPUs at 60 °C and 80 °C, 80 °C",
    Combine.MERGE: "the distributions (of a ratio: both counts) are merged, then asked: percentiles are never averaged",
}
WORSE = {"up": "higher is worse", "down": "lower is worse", None: "–"}

METRICS_INTRODUCTION = """\
# Metrics

For whoever reads a chart, writes a query or wonders what a figure means. Every metric of LLM Monitor, once; the API's
validation, the charts' titles and this page read the same table, `metrics/catalogue.py`.

A metric's name is `type.name`, such as `inference.ttft_ms`. The API takes the short name (`ttft_ms`) where it means one
metric only; where it could mean several, the answer names them. Ask for one with `metric` and `stat`:

```sh
curl 'http://127.0.0.1:8899/metrics/history?metric=inference.ttft_ms&stat=p95&range=1h'
```

Rules that hold for all of them:

- **Silence is no data.** A minute without requests has no response time: `null`, a gap in the chart, never 0. Only the
  totals of a summary are 0 then.
- **Times and generation speed are over successful requests**: a fast refusal must not flatter them. How long failures
  took is `inference.failed_response_time_ms`, how many they are `inference.error_rate_percent`. Token counts are over
  all requests.
- **Percentiles** are read off histograms and lie within 1.1 % of a recorded value, whatever the window, and whatever
  was merged. Averages, sums and counts are exact.
- **One request, one failure.** A failed request is counted once, whether it was posted as a failed inference, as an
  error, or as both. A warning is never a failure.
- **Throughput is not generation speed.** The rate of `inference.completion_tokens` is output tokens of all requests in
  a second of wall time; `inference.tokens_per_second` is how fast one request wrote its answer.
- **Units**: 1 GB is 2³⁰ bytes, 1 MB 2²⁰ bytes; percentages go from 0 to 100; a rate is per second.
"""

CONFIGURATION_INTRODUCTION = """\
# Configuration

For whoever runs LLM Monitor. It starts without any configuration; what can be set comes from environment variables, or
from a file `.env` in the directory that it is started in (the environment wins). They are read at the start. A value
that cannot be used stops the start with a sentence that names the variable, the value and what was expected.

A size is a number of bytes or `5GiB`, `500MB`; a list is separated by commas; an empty variable counts as not set.
"""

CONFIGURATION_END = """\
Secrets may come from files: {secrets} name a file that
holds the value, as container platforms mount them.

`--host` and `--port` of `manage.py up` and `manage.py serve` win over the variables.
"""


def metrics_page() -> str:
    """The text of docs/metrics.md."""
    kinds = [(f"**{kind.value}**", meaning, words(catalogue.STATS[kind])) for kind, meaning in KIND_MEANINGS.items()]
    combines = [(f"**{combine.value}**", meaning) for combine, meaning in COMBINE_MEANINGS.items()]
    sections = [
        METRICS_INTRODUCTION,
        GENERATED.format(source="metrics/catalogue.py"),
        "## What may be asked",
        table(("kind", "what it is", "`stat`"), kinds),
        "Percentiles of a gauge are not kept: of each minute and hour there are its average, extremes and last value.",
        "## How several become one",
        "What a metric of several models, hosts, GPUs or engines is, taken together:",
        table(("combined by", "meaning"), combines),
    ]
    for kind in catalogue.TYPES:
        sections += [f"## {TYPE_TITLES[kind]}", metrics_table(catalogue.of_type(kind))]
    return page(sections)


def metrics_table(metrics: Iterable[Metric]) -> str:
    """The table of these metrics."""
    head = ("name", "title", "unit", "meaning", "kind", "shown as", "combined by", "worse")
    rows = [
        (
            f"`{metric.name}`",
            metric.title,
            metric.unit,
            metric.help,
            metric.kind.value,
            f"`{metric.default_stat}`",
            metric.combine.value,
            WORSE[metric.worse],
        )
        for metric in metrics
    ]
    return table(head, rows)


def configuration_page() -> str:
    """The text of docs/configuration.md."""
    rows = [
        (f"`{environment.variable_name(name)}`", default(name, field), accepted(field), field.description or "")
        for name, field in environment.Environment.model_fields.items()
    ]
    secrets = " and ".join(f"`LLMMONITOR_{name}_FILE`" for name in environment.SECRETS)
    return page(
        [
            CONFIGURATION_INTRODUCTION,
            GENERATED.format(source="llmmonitor/environment.py"),
            table(("variable", "default", "value", "meaning"), rows),
            CONFIGURATION_END.format(secrets=secrets),
        ]
    )


def page(sections: Iterable[str]) -> str:
    """Sections with an empty line between them."""
    return "\n\n".join(section.strip() for section in sections) + "\n"


def default(name: str, field: FieldInfo) -> str:
    """How the default value is written."""
    value = field.default
    if name == "data_dir":
        return "`data` in the checkout"
    if value in (None, ()) or value is PydanticUndefined:
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if is_size(field):
        return f"`{size(value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def accepted(field: FieldInfo) -> str:
    """What may be given, with its bounds."""
    annotation = str(field.annotation)
    bounds = {
        name: found
        for name in ("ge", "gt", "le")
        for one in field.metadata
        if (found := getattr(one, name, None)) is not None
    }
    if get_origin(field.annotation) is Literal:
        return words(get_args(field.annotation))
    if is_size(field):
        return "size"
    if "tuple" in annotation:
        return "list"
    if "bool" in annotation:
        return "`true`, `false`"
    if "int" in annotation or "float" in annotation:
        kind = "whole number" if "int" in annotation else "number"
        if "le" in bounds:
            return f"{kind}, {bounds['ge']:,} to {bounds['le']:,}"
        return f"{kind} above {bounds['gt']}" if "gt" in bounds else f"{kind}, {bounds['ge']} or more"
    return "path" if "Path" in annotation else "text"


def is_size(field: FieldInfo) -> bool:
    """Whether the field takes sizes such as 5GiB."""
    validators: list[Any] = [getattr(one, "func", None) for one in field.metadata]
    return environment.parse_bytes in validators or "parse_bytes" in str(field.annotation)


def size(value: int) -> str:
    """A number of bytes in the largest unit that divides it."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value and value % factor == 0:
            return f"{value // factor}{unit}"
    return str(value)


def words(names: Sequence[str]) -> str:
    """Names as code, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


PAGES: dict[str, Callable[[], str]] = {"metrics.md": metrics_page, "configuration.md": configuration_page}


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page differs from the code")
    check = parser.parse_args().check
    stale = 0
    for name, write in PAGES.items():
        path, text = ROOT / "docs" / name, write()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if not check:
            path.write_text(text, encoding="utf-8")
        print(f"docs/{name} {'differs from the code; run make docs' if check else 'written'}")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
