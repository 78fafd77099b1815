"""A program that sends one message with Apprise: it reads a JSON object and writes one.

    {"url": …, "allow_private": false, "title": …, "text": …, "type": "warning"}    without a title, it checks the URL
    {"recognized": true, "sent": false, "refused": "127.0.0.1, a loopback address", "log": "…"}

It is a process of its own, because what Apprise does cannot be stopped within a process: services have time limits of
their own, and connect to where their address, a redirect or the name server leads. Here every connection is checked
when it is made. Standard library and Apprise only.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

from alerts.channels.addresses import why_refused

CONNECTING = ("socket.connect", "socket.sendto", "socket.sendmsg")
STARTING = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "syslog.openlog")


class Guard:
    """Refuses other programs, and connections to addresses that nothing may be sent to.

    refused: the first address that was refused, and what it is.
    """

    def __init__(self, allow_private: bool) -> None:
        self.refused = ""
        self._allow_private = allow_private

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Raise PermissionError if the event is refused. Apprise handles it as a failed connection."""
        if event in STARTING:
            raise PermissionError(f"{event} is not allowed")
        if event not in CONNECTING:
            return
        why = self._why_refused(arguments[-1])
        if why:
            self.refused = self.refused or why
            raise PermissionError(f"the connection is not allowed: {why}")

    def _why_refused(self, address: Any) -> str:
        if address is None:  # of a message on a connected socket
            return ""
        if not isinstance(address, tuple):
            return "a local socket"
        # An address in numbers needs no name server; of a name, each address is checked.
        for *_, numeric in socket.getaddrinfo(address[0], None):
            if why := why_refused(str(numeric[0]), self._allow_private):
                return f"{numeric[0]}, {why}"
        return ""


def result_of(request: dict[str, Any]) -> dict[str, Any]:
    """Check the URL, and send the message if there is one."""
    import apprise
    from apprise.common import PersistentStoreMode
    from apprise.manager_attachment import AttachmentManager

    AttachmentManager().remove("file")  # some services read a template from a file of the server and send it
    asset = apprise.AppriseAsset(
        app_id="LLM Monitor",
        app_desc="LLM Monitor",
        app_url="",
        storage_mode=PersistentStoreMode.MEMORY,
        pgp_autogen=False,
        pem_autogen=False,
    )
    guard = Guard(request.get("allow_private", False))
    sys.addaudithook(guard)
    with apprise.LogCapture(level=apprise.logging.WARNING, fmt="%(message)s") as log:
        service = apprise.Apprise.instantiate(request["url"], asset=asset)
        sent: bool | None = False
        if service is not None and request.get("title"):
            service.retry, service.optional = 0, False  # a failure must be known: the message is tried again later
            services = apprise.Apprise(asset=asset)
            services.add(service)
            sent = services.notify(
                title=request["title"], body=request["text"], notify_type=request["type"], body_format="text"
            )
        lines = log.getvalue()
    return {"recognized": service is not None, "sent": sent is True, "refused": guard.refused, "log": lines}


if __name__ == "__main__":
    json.dump(result_of(json.load(sys.stdin)), sys.stdout)
