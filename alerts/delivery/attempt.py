"""One attempt to send a message by a channel, of whatever kind the channel and the message are."""

from __future__ import annotations

import logging
from collections.abc import Callable

from alerts.channels.failure import SendFailed
from alerts.channels.kinds import KINDS
from alerts.channels.message import Message
from alerts.channels.stored import settings_of
from alerts.models import Channel

logger = logging.getLogger(__name__)


def attempt(channel: Channel, compose: Callable[[], Message]) -> SendFailed | None:
    """Send the message that a function returns. Return why it was not accepted; None if it was.

    An error that no kind of channel expects is logged, and returned as a failure that is not final.
    """
    try:
        message = compose()
        KINDS[channel.kind].send(settings_of(channel), message)
    except SendFailed as failure:
        return failure
    except Exception as error:
        logger.exception("Sending a message by the channel %s failed.", channel.pk)
        return SendFailed(f"{type(error).__name__}: see the log of the server")
    return None
