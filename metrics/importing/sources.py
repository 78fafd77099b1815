"""The programs whose files are imported. A source is recognized by the columns of the first row."""

from __future__ import annotations

from metrics.importing import export_files, litellm, phoenix
from metrics.importing.files import FileProblem
from metrics.importing.source import Source

EXPORT = "export"
LITELLM = "litellm"
PHOENIX = "phoenix"
NAMES = (EXPORT, LITELLM, PHOENIX)
KINDS = ", ".join(export_files.KINDS)


def recognize(columns: frozenset[str], kind: str | None = None, origin: str | None = None) -> Source:
    """Return the source of rows with these columns. kind, origin: what the caller knows. Raises FileProblem."""
    if kind is not None:
        return export_files.source(kind)
    if origin == PHOENIX or (origin is None and phoenix.recognize(columns)):
        return phoenix.source()
    if origin == LITELLM or (origin is None and litellm.recognize(columns)):
        return litellm.source()
    kind = export_files.recognize(columns)
    if kind in export_files.NOT_IMPORTED:
        raise FileProblem(f"is an export of {kind}, which is not imported: {export_files.NOT_IMPORTED[kind]}")
    if kind is not None:
        return export_files.source(kind)
    raise FileProblem(
        f"has no known columns. Known are exports of {KINDS}, spans of Phoenix and logs of LiteLLM; for rows like "
        f"those that are posted, use --kind. The columns are: {_shortened(columns)}"
    )


def _shortened(columns: frozenset[str]) -> str:
    shown = sorted(columns)[:20]
    return ", ".join(name[:40] for name in shown) + (", …" if len(columns) > len(shown) else "")
