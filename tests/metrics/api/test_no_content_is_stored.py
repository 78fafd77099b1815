"""No content of prompts or completions is stored. The tests search the bytes of the database."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from metrics.models import InferenceMetrics
from tests.metrics.api.api_fixtures import BOTH_WAYS
from tests.metrics.api.asgi_client import AsgiClient
from tests.support.provider_bodies import PRIVATE, PROVIDER_BODIES

pytestmark = BOTH_WAYS

SECRETS = {name: f"PRIVATE-{number}-{name}" for number, name in enumerate(("prompt", "input", "output", "content"))}
SECRETS["messages"] = "PRIVATE-9-messages"
STORED = "kept-in-the-store-0451"


def with_content(**metadata: Any) -> dict[str, Any]:
    return {"model_name": "m", "request_id": STORED, "metadata": {"user": "u", **metadata}}


EVENT = {
    **with_content(
        prompt=SECRETS["prompt"],
        options={"output": SECRETS["output"], "list": [{"content": SECRETS["content"]}]},
        text_of_json='{"messages": "' + SECRETS["messages"] + '"}',
    ),
    "messages": [{"role": "user", "content": SECRETS["messages"]}],
    "prompt": SECRETS["prompt"],
    "input": {"text": SECRETS["input"]},
    "output": SECRETS["output"],
    "request": {"body": {"content": SECRETS["content"]}},
}
DROPPED = {
    "messages",
    "prompt",
    "input",
    "output",
    "metadata.request.body",
    "metadata.prompt",
    "metadata.options.output",
    "metadata.options.list.content",
    "metadata.text_of_json",
}


def bytes_of_the_store() -> bytes:
    """Return the bytes of the database files and of the write-ahead log. For PostgreSQL, return all rows as text."""
    if connection.vendor == "sqlite":
        path = Path(connection.settings_dict["NAME"])
        # By another process: a process that closes one of these files loses the locks of its connections to it.
        return subprocess.run(["cat", *path.parent.glob(path.name + "*")], stdout=subprocess.PIPE, check=True).stdout
    rows = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT row_to_json(t)::text FROM "{table}" t')  # noqa: S608 - our own tables
            rows += [row[0] for row in cursor.fetchall()]
    return "\n".join(rows).encode()


@pytest.mark.store
class TheStore:
    @pytest.mark.parametrize("path", ["/track/inference", "/track/error"])
    def test_has_no_content_that_was_sent(self, api: AsgiClient, path: str) -> None:
        event = EVENT if path == "/track/inference" else {**EVENT, "error_type": "E"}
        answer = api.post(path, [event, {**event, "request_id": "second"}]).json()
        assert answer["accepted"] == 2
        stored = bytes_of_the_store()
        assert STORED.encode() in stored
        for name, secret in SECRETS.items():
            assert secret.encode() not in stored, name
        assert b"PRIVATE" not in stored

    def test_names_each_field_that_was_dropped(self, api: AsgiClient) -> None:
        dropped = api.post("/track/inference", EVENT).json()["dropped"]
        assert dropped == dict.fromkeys(DROPPED, 1)
        assert InferenceMetrics.objects.get().metadata["user"] == "u"

    def test_does_not_repeat_content_when_it_rejects_an_event(self, api: AsgiClient) -> None:
        reply = api.post("/track/inference", {**EVENT, "prompt_tokens": "PRIVATE", "model_name": ["PRIVATE"]})
        assert reply.status == 422
        assert b"PRIVATE" not in reply.body

    @pytest.mark.parametrize("nested", [False, True])
    @pytest.mark.parametrize("name", PROVIDER_BODIES)
    def test_has_no_content_of_a_provider_that_was_sent_as_it_is(
        self, api: AsgiClient, name: str, nested: bool
    ) -> None:
        body = {**PROVIDER_BODIES[name], "request_id": STORED, "model_name": "m"}
        events = [{"model_name": "m", "request_id": STORED, "metadata": {"call": body}}] if nested else [body]
        for path in ("/track/inference", "/track/error"):
            reply = api.post(path, [{**event, "error_type": "E"} for event in events])
            answer = reply.json()
            assert (answer["accepted"], answer["corrected"], PRIVATE.encode() in reply.body) == (1, {}, False)
        stored = bytes_of_the_store()
        assert STORED.encode() in stored
        assert PRIVATE.encode() not in stored
