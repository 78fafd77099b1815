"""Texts in CSV files that a spreadsheet could run as a formula: a quote before them prevents this."""

from __future__ import annotations

import re
import unicodedata

NUMBER = re.compile("[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?")
FORMULA_SIGNS = frozenset("=+-@")
INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})  # categories: controls, formats, separators
QUOTE = "'"


def guarded(text: str) -> str:
    """Return the cell for a text."""
    return QUOTE + text if _needs_quote(text) else text


def unguarded(cell: str) -> str:
    """Return the text that `guarded` has written as this cell."""
    return cell[1:] if cell.startswith(QUOTE) and _needs_quote(cell[1:]) else cell


def _needs_quote(text: str) -> bool:
    # Also a text that looks like a guarded one, so that a cell is written from one text only.
    return _may_be_formula(text.lstrip(QUOTE))


def _may_be_formula(text: str) -> bool:
    """Return whether a spreadsheet may run the text."""
    if text[:1].isalnum() or NUMBER.fullmatch(text):
        return False
    # Some spreadsheets ignore spaces, line breaks and invisible characters at the beginning, and the width of a sign.
    visible = next((char for char in text if unicodedata.category(char) not in INVISIBLE), "")
    return text.startswith(("\t", "\r", "\n")) or unicodedata.normalize("NFKC", visible) in FORMULA_SIGNS
