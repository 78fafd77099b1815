"""A trace that is replayed reads back exactly in counts and sums, and within the histogram's bound in percentiles.

The traces are made here, in the published forms and with the shapes of the real ones: prompts of some thousand tokens,
answers of a dozen, both with long tails, and arrivals in bursts.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from metrics.models import InferenceMetrics
from metrics.traffic.replay import formats, player
from tests.metrics.api.asgi_client import AsgiClient

pytestmark = pytest.mark.store

BOUND = 0.011  # of a value that was sent: half a bucket of scale 5
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
VALUES = ("response_time_ms", "prompt_tokens", "completion_tokens")
SPAN_SECONDS = 50 * 60
BEGAN = datetime(2023, 11, 16, 18, 17, 3, 979_960, tzinfo=UTC)


def made_requests(count: int, seed: int) -> list[tuple[float, int, int]]:
    """(seconds, prompt tokens, output tokens) of each request, in order of time."""
    random = Random(seed)
    found = []
    for _ in range(count):
        # Half of them in bursts: many requests of one second.
        at = random.choice((random.uniform(0, SPAN_SECONDS), 600 + 7.5 * random.randrange(40) + random.random()))
        prompt = min(7_437, max(3, round(random.lognormvariate(math.log(1_469), 0.9))))
        output = min(1_899, max(1, round(random.lognormvariate(math.log(13), 1.1))))
        found.append((at, prompt, output))
    return sorted(found)


def azure(path: Path) -> Path:
    """As published: CRLF, seven digits of fraction, no end of line after the last row."""
    rows = []
    for at, prompt, output in made_requests(1_400, 1):
        time = BEGAN + timedelta(seconds=at)
        rows.append(f"{time:%Y-%m-%d %H:%M:%S.%f}0,{prompt},{output}")
    path.write_bytes("\r\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]).encode())
    return path


def burstgpt(path: Path) -> Path:
    """Two models with times of their own and failures."""
    random = Random(7)
    rows = ["Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type"]
    for number, (at, prompt, output) in enumerate(made_requests(1_000, 2)):
        output = 0 if number % 29 == 0 else output
        elapsed = round(random.lognormvariate(math.log(1.2), 0.8), 3) if output else ""
        model = ("ChatGPT", "GPT-4")[number % 3 == 0]
        rows.append(f"{at:.3f},{number % 50},{elapsed},{model},{prompt},{output},{prompt + output},Conversation log")
    path.write_text("\n".join(rows) + "\n")
    return path


def mooncake(path: Path) -> Path:
    """JSON lines in milliseconds."""
    lines = [
        json.dumps({"timestamp": round(at * 1000), "input_length": prompt, "output_length": output, "hash_ids": [1, 2]})
        for at, prompt, output in made_requests(700, 3)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


TRACES = {"azure": azure, "burstgpt": burstgpt, "mooncake": mooncake}


class Replayed:
    """A trace that was played, and what was sent of it."""

    def __init__(self, api: AsgiClient, path: Path, *arguments: str) -> None:
        self.api = api
        self.start = (datetime.now(UTC) - timedelta(minutes=55)).replace(microsecond=250_000)
        out = StringIO()
        call_command("replay", str(path), "--speed", "max", "--start", self.start.isoformat(), *arguments, stdout=out)
        self.said = out.getvalue()
        plan = player.Plan("trace", "", None, self.start)
        with path.open(newline="") as lines:
            self.sent = [player.event(one, place, plan, 0) for place, one in enumerate(formats.read(lines))]
        self.times = [datetime.fromisoformat(event["timestamp"]) for event in self.sent]

    def check(self, start: datetime, end: datetime, model: str | None = None) -> int:
        """Compare a window with what was sent in it; how many requests that were."""
        asked: dict[str, Any] = {"from": start.isoformat(), "to": end.isoformat()}
        summary = self.api.get("/metrics/summary", **asked, **({"model": model} if model else {})).json()
        first, last = (datetime.fromisoformat(summary[edge]) for edge in ("from", "to"))
        within = [
            event
            for event, at in zip(self.sent, self.times, strict=True)
            if first <= at < last and model in (None, event["model_name"])
        ]
        assert summary["total_requests"] == len(within)
        assert summary["failed_requests"] == sum(not event["success"] for event in within)
        for name in ("prompt_tokens", "completion_tokens"):
            assert summary[name] == sum(event[name] for event in within)
        assert summary["total_tokens"] == summary["prompt_tokens"] + summary["completion_tokens"]
        for name in VALUES:
            # Times are those of requests that succeeded; a failure of a trace has none.
            values = [event[name] for event in within if name in event]
            for stat, share in QUANTILES.items():
                exact = np.quantile(values, share, method="inverted_cdf") if values else None
                found = summary[f"{stat}_{name}"]
                assert found == (exact if exact is None else pytest.approx(exact, rel=BOUND)), (stat, name)
        return len(within)

    def check_everywhere(self, model: str | None = None) -> None:
        """The whole, and windows of all lengths in it."""
        begin = self.times[0].replace(microsecond=0)
        end = self.times[-1].replace(microsecond=0) + timedelta(seconds=1)
        of_model = sum(model in (None, event["model_name"]) for event in self.sent)
        assert self.check(begin, end, model) == of_model
        random = Random(11)
        counts = []
        for seconds in (1, 7, 60, 61, 300, 900, 1_800):
            first = begin + timedelta(seconds=random.randrange(SPAN_SECONDS - seconds))
            counts.append(self.check(first, first + timedelta(seconds=seconds), model))
        assert max(counts) > 200
        # A burst of some seconds.
        assert self.check(begin + timedelta(seconds=600), begin + timedelta(seconds=620), model) > 5


class ATraceThatWasReplayed:
    @pytest.mark.parametrize("name", TRACES)
    def test_reads_back_as_it_was_sent_over_any_window(
        self, api: AsgiClient, posts: list[Any], tmp_path: Path, name: str
    ) -> None:
        replayed = Replayed(api, TRACES[name](tmp_path / "trace"))
        assert f"{len(replayed.sent):,} accepted, 0 duplicates, 0 rejected" in replayed.said
        replayed.check_everywhere()

    @pytest.mark.parametrize("model", ["ChatGPT", "GPT-4"])
    def test_reads_back_for_each_of_its_models(
        self, api: AsgiClient, posts: list[Any], tmp_path: Path, model: str
    ) -> None:
        Replayed(api, burstgpt(tmp_path / "trace")).check_everywhere(model)

    def test_is_called_modelled_where_its_latency_is(self, api: AsgiClient, posts: list[Any], tmp_path: Path) -> None:
        Replayed(api, azure(tmp_path / "azure"))
        Replayed(api, burstgpt(tmp_path / "burstgpt"))
        rows = api.get("/models", range="1h").json()["results"]
        assert {row["model_name"]: row["modelled"] for row in rows} == {"trace": True, "ChatGPT": False, "GPT-4": False}


class TheReplayCommand:
    def run(self, path: Path, *arguments: str) -> str:
        out = StringIO()
        call_command("replay", str(path), "--speed", "max", *arguments, stdout=out)
        return out.getvalue()

    def test_played_twice_from_the_same_start_stores_it_once(
        self, api: AsgiClient, posts: list[Any], tmp_path: Path
    ) -> None:
        path = mooncake(tmp_path / "trace")
        start = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        self.run(path, "--start", start)
        assert "0 accepted, 700 duplicates" in self.run(path, "--start", start)
        assert InferenceMetrics.objects.count() == 700

    def test_stamps_at_sending_when_it_starts_now(self, api: AsgiClient, posts: list[Any], tmp_path: Path) -> None:
        self.run(mooncake(tmp_path / "trace"))
        assert api.get("/metrics/summary", range="5m").json()["total_requests"] == 700

    def test_gives_a_trace_without_models_the_name_it_is_told(
        self, api: AsgiClient, posts: list[Any], tmp_path: Path
    ) -> None:
        self.run(mooncake(tmp_path / "trace"), "--model", "org/model")
        assert api.get("/models/org/model").json()["total_requests"] == 700

    def test_says_what_was_refused_and_why(self, api: AsgiClient, posts: list[Any], tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="Nothing was stored"):
            self.run(mooncake(tmp_path / "trace"), "--start", "2019-01-01")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--speed", "fast"), "expected a number above 0, or `max`"),
            (("--speed", "0"), "expected a number above 0"),
            (("--start", "soon"), "expected `now`, a time such as"),
            (("--url", "file:///etc/passwd"), "expected an address such as http://"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, db: None, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
        with pytest.raises(CommandError, match=said):
            self.run(mooncake(tmp_path / "trace"), *arguments)

    def test_names_the_line_of_a_broken_file(self, api: AsgiClient, posts: list[Any], tmp_path: Path) -> None:
        path = mooncake(tmp_path / "trace")
        path.write_text(path.read_text() + "{broken\n")
        with pytest.raises(CommandError, match="trace: line 701: "):
            self.run(path)

    def test_says_that_a_file_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="nothing: No such file"):
            self.run(tmp_path / "nothing")

    def test_says_that_a_file_is_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "picture"
        path.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
        with pytest.raises(CommandError, match="UTF-8"):
            self.run(path)
