"""What the written pages say holds: links lead somewhere, commands and variables exist, examples are accepted."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import get_commands
from django.test import Client

from llmmonitor.access.keys import create_key

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
BASE = "http://127.0.0.1:8899"
# Stands for curl: writes down what it was asked to do.
NOTING_CURL = """#!{python} -S
import json, os, sys
with open(os.environ["NOTES"], "a") as notes:
    notes.write(json.dumps(sys.argv[1:]) + "\\n")
"""


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str = "sh") -> list[str]:
    """The code blocks of this language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(name), re.MULTILINE | re.DOTALL)


def calls(name: str, folder: Path, key: str) -> list[list[str]]:
    """The arguments of each curl on a page, as a shell understands them. `key` is the value of $KEY."""
    curl = folder / "curl"
    curl.write_text(NOTING_CURL.format(python=sys.executable))
    curl.chmod(0o755)
    notes = folder / "notes"
    environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "NOTES": str(notes), "KEY": key}
    for block in blocks(name):
        if "curl " in block:
            subprocess.run(["sh", "-euc", block], env=environment, check=True)
    return [json.loads(line) for line in notes.read_text().splitlines()]


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


class ThePageOfAnIntegration:
    @pytest.mark.parametrize("page", sorted((ROOT / "docs/integrations").glob("*.md")), ids=lambda page: page.stem)
    def test_says_first_what_is_recorded_what_is_not_and_how_to_turn_it_off(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        first = text.split("\n\n")[1]
        assert re.findall(r"^- \*\*([A-Z][a-z ]+)", first, re.MULTILINE) == ["Recorded", "Never recorded", "Turned off"]
        assert "`LLMMONITOR_DISABLED=1`" in first
        assert "[install the SDK](../sdk.md)" in text
        assert f"docs/integrations/{page.name}" in text_of("README.md")


class APage:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_links_to_what_is_there(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        broken = []
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"https?:|mailto:", link):
                continue
            path, _, fragment = link.partition("#")
            target = (page.parent / path) if path else page
            if not target.exists():
                broken.append(link)
            elif fragment:
                headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                if fragment not in map(anchor, headings):
                    broken.append(link)
        assert broken == []

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_names_commands_that_exist(self, page: Path) -> None:
        named = set(re.findall(r"manage\.py ([a-z][a-z_-]+)", page.read_text(encoding="utf-8")))
        assert named - set(get_commands()) == set()

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_names_targets_of_make_that_exist(self, page: Path) -> None:
        targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
        code = "\n".join([*blocks(str(page)), *re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))])
        assert set(re.findall(r"\bmake ([a-z-]+)", code)) - targets == set()

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_names_files_that_exist(self, page: Path) -> None:
        named = set(
            re.findall(
                r"`((?:llmmonitor|metrics|dashboard|scripts|requirements|docs|tests)/[\w/.-]*)`",
                page.read_text(encoding="utf-8"),
            )
        )
        assert [path for path in sorted(named) if not (ROOT / path).exists()] == []

    def test_is_linked_from_the_readme(self) -> None:
        linked = set(re.findall(r"\]\((docs/[\w-]+\.md)\)", text_of("README.md")))
        assert linked == {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}


class TheReadme:
    def test_shows_the_two_commands_on_its_first_screen(self) -> None:
        first_screen = "\n".join(text_of("README.md").splitlines()[:25])
        assert "make run" in first_screen
        assert "make test" in first_screen

    def test_says_on_what_it_runs(self) -> None:
        assert re.search(r"Python 3\.11 or later.*Linux or macOS", text_of("README.md"), re.DOTALL)

    def test_shows_only_pictures_that_exist(self) -> None:
        shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)|src(?:set)?=\"([^\"]+)\"", text_of("README.md"))
        assert [one or two for one, two in shown if not (ROOT / (one or two)).is_file()] == []

    def test_gives_options_that_the_commands_have(self) -> None:
        from django.core.management import load_command_class

        found = re.findall(
            r"^\.venv/bin/python manage\.py (demo|forget|replay)([^#\n]*)", text_of("README.md"), re.MULTILINE
        )
        assert {name for name, _ in found} == {"demo", "forget", "replay"}
        for name, options in found:
            # Raises CommandError for what the command would refuse.
            load_command_class("metrics", name).create_parser("manage.py", name).parse_args(shlex.split(options))


class TheArchitecture:
    def test_gives_a_reason_for_every_dependency(self) -> None:
        groups = tomllib.loads(text_of("pyproject.toml"))["dependency-groups"]
        wanted = {
            re.split(r"[\[<>=~]", line)[0] for group in groups.values() for line in group if isinstance(line, str)
        }
        wanted |= set(json.loads(text_of("package.json"))["dependencies"])
        page = text_of("docs/architecture.md")
        assert [name for name in sorted(wanted) if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page)] == []

    def test_names_no_dependency_that_is_gone(self) -> None:
        groups = tomllib.loads(text_of("pyproject.toml"))["dependency-groups"]
        there = {re.split(r"[\[<>=~]", line)[0] for group in groups.values() for line in group if isinstance(line, str)}
        section = text_of("docs/architecture.md").split("## Dependencies")[1].split("\n## ")[0]
        cells = re.findall(r"^\| ([a-z][\w, -]*) \|", section, re.MULTILINE)
        named = {name for cell in cells for name in cell.split(", ")} - {"package"}
        assert named == there

    def test_names_every_table(self) -> None:
        from django.apps import apps

        page = text_of("docs/architecture.md")
        names = [model.__name__ for model in apps.get_app_config("metrics").get_models()]
        assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.django_db(transaction=True)
class TheExamples:
    @pytest.mark.parametrize("page", ["README.md", "docs/api.md", "docs/metrics.md"])
    def test_are_answered_as_the_page_says(self, page: str, tmp_path: Path) -> None:
        client = Client(HTTP_HOST="127.0.0.1:8899", SERVER_NAME="127.0.0.1", SERVER_PORT="8899")
        asked = calls(page, tmp_path, create_key("of the examples", ["manage"], at=datetime.now(UTC))[1])
        assert asked
        for arguments in asked:
            response, url = perform(client, arguments)
            assert 200 <= response.status_code < 300, (url, response.content)
            if urlsplit(url).path.startswith("/track/"):
                answer = response.json()
                assert answer["accepted"] >= 1
                assert (answer["duplicates"], answer["rejected"], answer["dropped"]) == (0, [], {})

    def test_of_a_subscription_is_taken_by_the_live_stream(self) -> None:
        from metrics.live.subscriptions import parse, parse_id

        (block,) = blocks("docs/api.md", "json")
        message = json.loads(block)
        assert [one.metric.name for one in parse(message, datetime.now(UTC)).specs] == ["inference.response_time_ms"]
        assert parse_id(message) == message["id"]

    def test_cover_the_whole_of_the_api(self) -> None:
        from django.urls import get_resolver

        page = text_of("docs/api.md")
        missing = []
        for pattern in get_resolver("metrics.api.urls").url_patterns:
            beginning = "/" + re.split(r"[<.]", str(pattern.pattern))[0].rstrip("/")
            if beginning not in page and beginning.split("/")[1] not in ("demo", "health", "robots"):
                missing.append(beginning)
        assert missing == []


def perform(client: Client, arguments: list[str]) -> tuple[Any, str]:
    """What the monitor answers to this curl, and the address."""
    url = next(argument for argument in arguments if argument.startswith(BASE))
    options = [(name, value) for name, value in pairwise(arguments) if name in ("-H", "-X", "-d")]
    headers = dict(value.split(": ", 1) for name, value in options if name == "-H")
    body = next((value for name, value in options if name == "-d"), "")
    method = next((value for name, value in options if name == "-X"), "POST" if body else "GET")
    kind = headers.pop("Content-Type", "")
    return client.generic(method, url.removeprefix(BASE), body, content_type=kind, headers=headers), url
