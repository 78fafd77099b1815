"""A state as a coloured sign and a text."""

from __future__ import annotations

from django.utils.html import format_html


def marked(colour: str, glyph: str, text: str) -> str:
    """Return HTML. colour: `ok`, `info`, `warning` or `critical`."""
    return format_html('<span class="mark {}">{}</span> {}', colour, glyph, text)
