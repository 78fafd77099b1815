"""A snippet as HTML: words in colour, the lines to add marked, and the key in an element of its own."""

from __future__ import annotations

import re

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

WORDS = "import|from|for|in|if|else|with|as|True|False|None|export|pip install|curl"
TOKEN = re.compile(rf"""(?P<string>"[^"\n]*"|'[^'\n]*')|(?<![\w./-])(?P<word>{WORDS})(?![\w.])|(?P<key>llmm_[\w-]+)""")
OURS = re.compile(r"(?i)llmmonitor|monitor\.|call\.|interceptors")


def mark_up(text: str, is_code: bool = False) -> SafeString:
    """Return the text as HTML. Its text content is the text itself, so that it can be copied. is_code: mark lines."""
    rows = text.splitlines(keepends=True)
    return format_html_join("", "{}", ((_line(row, is_code and bool(OURS.search(row))),) for row in rows))


def _line(row: str, is_ours: bool) -> SafeString:
    if is_ours:
        return format_html('<span class="ours">{}</span>', _words(row))
    return _words(row)


def _words(row: str) -> SafeString:
    parts, end = [], 0
    for match in TOKEN.finditer(row):
        parts.append(escape(row[end : match.start()]))
        attribute = "data-key" if match["key"] else f"class={match.lastgroup}"
        # The key may stand in a string, as in a header of curl.
        inner = _words(match[0][1:-1]) if match["string"] and "llmm_" in match[0] else None
        content = format_html("{}{}{}", match[0][0], inner, match[0][-1]) if inner is not None else match[0]
        parts.append(format_html("<span {}>{}</span>", attribute, content))
        end = match.end()
    parts.append(escape(row[end:]))
    return format_html_join("", "{}", ((part,) for part in parts))
