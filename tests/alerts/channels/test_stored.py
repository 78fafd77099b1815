"""The settings of channels as they are read from the database."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.channels import apprise
from alerts.channels.failure import SendFailed
from alerts.channels.shown import shown_of
from alerts.channels.stored import settings_of
from alerts.channels.writing import add_channel
from alerts.models import Channel

pytestmark = pytest.mark.django_db


class AStoredChannel:
    def test_is_shown_without_the_check_of_its_address_which_takes_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        runs: list[Any] = []
        monkeypatch.setattr(apprise, "_run", lambda request: runs.append(request) or {"recognized": True})
        fields = {"id": "chat", "name": "Chat", "kind": "apprise", "settings": {"url": "ntfys://example.com/stored"}}
        channel = add_channel(fields)
        assert len(runs) == 1

        assert shown_of(channel) == ("ntfys://…", None)
        assert len(runs) == 1

    def test_whose_settings_are_no_longer_valid_says_so(self) -> None:
        channel = Channel.objects.create(id="mail", name="Mail", kind="email", settings={"to": ["mara"]})
        with pytest.raises(SendFailed, match=r"its setting to\.0 must be an e-mail address") as caught:
            settings_of(channel)

        assert caught.value.is_final
        assert shown_of(channel)[0] == ""
