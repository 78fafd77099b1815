"""The services that tests need: PostgreSQL, Redis and Chromium.

PostgreSQL must be running (``LLMMONITOR_TEST_POSTGRES_URL``, by default the user postgres on this machine); tests
create their own databases. Redis is started for the tests, on a free port and without persistence; with
``LLMMONITOR_TEST_REDIS_URL`` the tests use that server instead, and empty it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

POSTGRES_BY_DEFAULT = "postgres://postgres@127.0.0.1:5432/postgres"
START_SECONDS = 15.0  # how long to wait for a service to start; it normally needs a fraction of a second

CHROMIUM_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_APPS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


@dataclass(frozen=True)
class Service:
    """The URL of a service (for Chromium: its path), or why it cannot be used and what to install."""

    url: str = ""
    missing: str = ""


def are_required() -> bool:
    """Return whether a missing service fails the tests, as under ``CI=true``. Otherwise they are skipped."""
    return os.environ.get("CI", "").lower() in ("true", "1")


@contextlib.contextmanager
def postgres() -> Iterator[Service]:
    """Yield a URL with an unused database name. Django's test runner creates and drops its test database."""
    base = _postgres_url()
    problem = _postgres_problem(base)
    yield Service(missing=problem) if problem else Service(url=_with_database(base, f"llmmonitor_{os.getpid()}"))


@contextlib.contextmanager
def postgres_database(name: str) -> Iterator[Service]:
    """Create an empty database for a server that a test starts, and drop it at the end."""
    import psycopg
    from psycopg import sql

    base = _postgres_url()
    problem = _postgres_problem(base)
    if problem:
        yield Service(missing=problem)
        return
    name = f"{name}_{os.getpid()}"
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(base, autocommit=True) as connection:
        connection.execute(drop)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield Service(url=_with_database(base, name))
        finally:
            connection.execute(drop)


def _postgres_url() -> str:
    return os.environ.get("LLMMONITOR_TEST_POSTGRES_URL") or POSTGRES_BY_DEFAULT


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _postgres_problem(url: str) -> str:
    """Return why the server cannot be used, or an empty string."""
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=3):
            return ""
    except psycopg.OperationalError as error:
        return (
            f"PostgreSQL does not respond at {_without_password(url)} ({str(error).strip().splitlines()[0]}). "
            "Install and start it (apt install postgresql, brew install postgresql), "
            "or set LLMMONITOR_TEST_POSTGRES_URL to a user who may create databases."
        )


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":…@")))


@contextlib.contextmanager
def redis() -> Iterator[Service]:
    """Yield an empty Redis: that of ``LLMMONITOR_TEST_REDIS_URL``, or a new server that stops at the end."""
    named = os.environ.get("LLMMONITOR_TEST_REDIS_URL")
    if named:
        problem = "" if empty_redis(named) else f"Redis does not respond at {_without_password(named)}."
        yield Service(url=named, missing=problem)
        return
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        yield Service(missing="Redis is not installed (apt install redis-server, brew install redis).")
        return
    with tempfile.TemporaryDirectory(prefix="llmmonitor-redis-") as folder:
        url = f"redis://127.0.0.1:{free_port()}/0"
        port = str(urlsplit(url).port)
        command = [program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + START_SECONDS
            while not empty_redis(url) and process.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
            yield Service(url=url, missing="" if empty_redis(url) else f"{program} started but does not respond.")
        finally:
            process.terminate()
            process.wait()


def empty_redis(url: str) -> bool:
    """Empty the database. Return whether Redis could be reached."""
    import redis as client

    try:
        with contextlib.closing(client.Redis.from_url(url, socket_connect_timeout=3)) as connection:
            return bool(connection.flushdb())
    except client.RedisError:
        return False


def chromium() -> Service:
    """Return the path of a Chromium or Chrome: that of ``LLMMONITOR_CHROMIUM``, or the first of the usual paths."""
    named = os.environ.get("LLMMONITOR_CHROMIUM")
    if named:
        path = shutil.which(named)
        return Service(url=path) if path else Service(missing=f"LLMMONITOR_CHROMIUM={named} is not a program.")
    paths = [path for command in CHROMIUM_COMMANDS if (path := shutil.which(command))]
    paths += [app for app in CHROMIUM_APPS if Path(app).is_file()]
    if paths:
        return Service(url=paths[0])
    return Service(missing="Chromium is not installed (apt install chromium, brew install --cask chromium).")


def free_port() -> int:
    """Return a TCP port on loopback that is free at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
