"""Why a message could not be sent."""

from __future__ import annotations


class SendFailed(Exception):
    """A message was not accepted. The text is the reason, for people; it has no secrets.

    is_final: trying again would not help, as with an address that does not exist. retry_after_seconds: how long the
    receiver asks to wait.
    """

    def __init__(self, reason: str, *, is_final: bool = False, retry_after_seconds: float | None = None) -> None:
        self.is_final = is_final
        self.retry_after_seconds = retry_after_seconds
        super().__init__(reason)
