"""Fixtures of the tests on webhooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest

from alerts.channels.message import Message, MessageKind
from tests.alerts.channels.messages import make_alert
from tests.alerts.channels.webhook.receiver import Receiver, running_receiver

AT = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
CHART = "http://monitor/dashboard/"


@pytest.fixture
def message() -> Message:
    alert = make_alert(17, alert=4, rule="hot", name='High "CPU"', severity="critical", value=93.25, url=CHART)
    return Message("0b5c1e6e-5f9d-4d0e-8a44-6d6a5f5f0001", MessageKind.CHANGE, AT, (alert,), "http://monitor/alerts/")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as made:
        yield made


@dataclass
class Names:
    """The names of the tests, each with its addresses at the first look-up, the second one, …; `asked` are those that
    were looked up.
    """

    addresses: dict[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    import socket

    made, look_up = Names(), socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **options: Any) -> list[Any]:
        if _is_literal(host):
            return look_up(host, *arguments, **options)
        made.asked.append(host)
        if host not in made.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = made.addresses[host]
        now = answers[min(made.asked.count(host), len(answers)) - 1]
        return [entry for address in now for entry in look_up(address, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return made


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
