"""Links in a sentence: the models, machines and alerts that it names. Pure functions.

`static/dashboard/js/page/sentence-text.js` has the same rules; tests check both against
`tests/dashboard/linked_text_cases.json`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from dashboard.times_in_texts import in_utc

Part = tuple[str, str]  # a text and its address, which is empty for a text without a link


def linked_parts(text: str, links: Mapping[str, str]) -> list[Part]:
    """Return the text in parts: each name that stands by itself, and what is between. Longer names come first."""
    if not links:
        return [(text, "")]
    names = "|".join(map(re.escape, sorted(links, key=len, reverse=True)))
    parts = re.split(rf"(?<![\w./:-])({names})(?![\w/]|[.:-]\w)", text)
    return [(part, links[part] if odd else "") for number, part in enumerate(parts) if (odd := number % 2) or part]


def only_named(links: Mapping[str, str], *texts: str) -> dict[str, str]:
    """Return the links of the names that are in one of the texts."""
    used = {part for text in texts for part, url in linked_parts(text, links) if url}
    return {name: url for name, url in links.items() if name in used}


def shown_sentence(sentence: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return a sentence for the first rendering: its times in UTC, its names as links."""
    links = sentence.get("links") or {}
    html = {name: _html(in_utc(sentence[name] or "", now), links) for name in ("title", "text")}
    return {**sentence, **html}


def _html(text: str, links: Mapping[str, str]) -> SafeString:
    parts = linked_parts(text, links)
    return format_html_join("", "{}", ((_link(part, url) if url else part,) for part, url in parts))


def _link(name: str, url: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, name)
