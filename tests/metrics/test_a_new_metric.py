"""A new metric: the edits that CONTRIBUTING names are enough for it to appear in the API, exports, docs and pages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("llmmonitor", "metrics", "dashboard", "templates", "scripts")

# (file, the line that the new line follows, the new line)
EDITS = (
    (
        "metrics/catalogue.py",
        '    _tokens("completion_tokens", "Completion tokens", "Output tokens of a request."),',
        '    _time("network_time_ms", "Network time", "Time that a request spent on the network."),',
    ),
    (
        "metrics/events/requests.py",
        "    ttft_ms: Milliseconds | None = None",
        "    network_time_ms: Milliseconds | None = None",
    ),
    (
        "metrics/models/requests.py",
        "    ttft_ms = models.FloatField(null=True)",
        "    network_time_ms = models.FloatField(null=True)",
    ),
    (
        "metrics/models/rollups.py",
        '    ttft_ms = models.BinaryField(default=b"")',
        '    network_time_ms = models.BinaryField(default=b"")',
    ),
    (
        "metrics/catalogue.py",
        '    _gauge("gpu.temperature", "°C", "GPU temperature", "Temperature of the chip.", "up", Combine.MAX),',
        '    _gauge("gpu.memory_temperature", "°C", "Memory temperature", "Temperature of the memory."),',
    ),
    (
        "metrics/events/samples.py",
        "    temperature: Celsius | None = None",
        "    memory_temperature: Celsius | None = None",
    ),
    (
        "metrics/models/samples.py",
        '    temperature = models.FloatField(null=True, help_text="°C")',
        '    memory_temperature = models.FloatField(null=True, help_text="°C")',
    ),
)

SCRIPT = r"""
import json, sys
import django
django.setup()
from django.core.management import call_command
call_command("makemigrations", "metrics", "--name", "new_metric", verbosity=0)
call_command("migrate", verbosity=0)
from django.test import Client

client = Client(headers={"host": "127.0.0.1"}, SERVER_NAME="127.0.0.1", SERVER_ADDR="127.0.0.1")

def post(kind, event):
    answer = client.post(f"/track/{kind}", json.dumps(event), content_type="application/json")
    assert answer.status_code == 200 and not answer.json()["dropped"], answer.content

def get(path):
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.content)
    return b"".join(answer).decode() if answer.streaming else answer.content.decode()

post("inference", {"model_name": "m", "response_time_ms": 100, "network_time_ms": 12.5})
post("system", {"host": "h", "gpu_metrics": [{"gpu_id": 0, "memory_temperature": 71.5}]})
sys.path.insert(0, "scripts")
import docs
page = get("/")
from django.contrib.auth.models import User
from metrics.models import InferenceMetrics
client.force_login(User.objects.create_superuser("admin"))
found = {
    "admin": get(f"/admin/metrics/inferencemetrics/{InferenceMetrics.objects.get().pk}/change/"),
    "history": [json.loads(get(f"/metrics/history?metric={name}&stat=max&range=5m"))["series"][0]["points"]
                for name in ("network_time_ms", "memory_temperature")],
    "distribution": json.loads(get("/metrics/distribution?metric=network_time_ms&range=5m"))["max"],
    "request": json.loads(get("/requests?range=5m"))["results"][0]["network_time_ms"],
    "export": [get(f"/export/{kind}.csv?range=5m") for kind in ("inference", "gpu")],
    "current": json.loads(get("/metrics/current"))["hosts"][0]["gpu_metrics"][0]["memory_temperature"],
    "docs": docs.metrics_page(),
    "schema": get("/schema"),
    "page": page,
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def changed_copy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a copy of the checkout returns after the edits of EDITS."""
    copy = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, line, new in EDITS:
        path = copy / name
        text = path.read_text(encoding="utf-8")
        assert text.count(line + "\n") == 1, (name, line)
        path.write_text(text.replace(line + "\n", f"{line}\n{new}\n"), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    environment |= {
        "PYTHONPATH": str(copy),
        "DJANGO_SETTINGS_MODULE": "llmmonitor.settings",
        "LLMMONITOR_DATA_DIR": str(copy / "data"),
    }
    (copy / "data").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


class ANewMetric:
    """A time of requests and a gauge of GPUs: a catalogue entry, an event field, model fields and a migration each."""

    def test_has_a_history_and_a_distribution(self, changed_copy: dict[str, object]) -> None:
        history = changed_copy["history"]
        assert isinstance(history, list)
        assert [max(value for _, value in points if value is not None) for points in history] == [12.5, 71.5]
        assert changed_copy["distribution"] == 12.5

    def test_is_in_lists_and_exports(self, changed_copy: dict[str, object]) -> None:
        assert changed_copy["request"] == 12.5
        requests, gpus = changed_copy["export"]  # type: ignore[misc]
        assert "network_time_ms" in requests.splitlines()[0]
        assert "12.5" in requests.splitlines()[1]
        assert "memory_temperature" in gpus.splitlines()[0]
        assert "71.5" in gpus.splitlines()[1]

    def test_is_in_the_admin(self, changed_copy: dict[str, object]) -> None:
        assert "field-network_time_ms" in str(changed_copy["admin"])

    def test_is_in_the_tick(self, changed_copy: dict[str, object]) -> None:
        assert changed_copy["current"] == 71.5

    @pytest.mark.parametrize("place", ["docs", "schema", "page"])
    def test_is_described(self, changed_copy: dict[str, object], place: str) -> None:
        text = str(changed_copy[place])
        assert "inference.network_time_ms" in text
        assert "gpu.memory_temperature" in text
