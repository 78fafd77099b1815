"""What a start prints: where the monitor is, how to get in, and where its data lies."""

from __future__ import annotations

from django.conf import settings

from llmmonitor.access.first_start import FirstAdmin

EVERY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 (compared with, not listened on)


def address(host: str, port: int) -> str:
    """The address that a browser on this machine opens, without a slash at its end."""
    shown = "127.0.0.1" if host in EVERY_ADDRESS else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def welcome(host: str, port: int, login_path: str | None, first: FirstAdmin | None) -> str:
    """The lines that `up` prints once it listens. `login_path`: of the one-time link, None when nobody could use it."""
    base = address(host, port)
    lines = [f"LLM Monitor {settings.VERSION} → {base}/"]
    if host in EVERY_ADDRESS:
        lines.append(f"  It listens on every address of this machine; others need a login or a key. Port {port}.")
    if login_path:
        lines.append(f"  Sign in (once, within 15 minutes): {base}{login_path}")
    if first is not None:
        shown = f"{first.password} (shown this once)" if first.password else "as set in LLMMONITOR_ADMIN_PASSWORD"
        lines.append(f"  First start: the user is {first.username}, the password {shown}")
    lines.append(f"  Data in {settings.LLMMONITOR.data_dir} · Ctrl-C stops")
    return "\n".join(lines)
