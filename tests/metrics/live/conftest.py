"""Fixtures of the live tests."""

from __future__ import annotations

import pytest
from channels.layers import channel_layers


@pytest.fixture(autouse=True)
def channel_layer_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has an event loop of its own, and the layer on Redis keeps locks of the loop that it was used on."""
    monkeypatch.setattr(channel_layers, "backends", {})
