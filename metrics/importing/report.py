"""What an import has read, stored and skipped, as figures and as lines of text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAX_EXAMPLES = 5  # rejected rows that are listed with their lines
MAX_REASONS = 30  # further reasons, paths and columns are counted together
OTHERS = "…"
# What differs from row to row in an error: the value that was sent, the place in a line.
OF_ROW = re.compile(r", got .*| at character \d+$| \(and \d+ more\)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A rejected row: the line where it begins, or its number, its field, and the error."""

    numbered: str
    line: int
    field: str | None
    error: str

    def __str__(self) -> str:
        return f"{self.numbered} {self.line}: {f'{self.field} ' if self.field else ''}{self.error}"


@dataclass
class Report:
    """The figures of an import. read = stored + duplicates + rejected + skipped, and those that are `valid` only.

    valid: rows of a dry run that would be stored, or that are duplicates. dropped, corrected: rows by path of a field,
    as in the response to a post. not_imported: rows by column that the source does not import. last_line: the line of
    the last row that is in the figures; numbered: whether lines or rows are counted.
    """

    read: int = 0
    stored: int = 0
    duplicates: int = 0
    valid: int = 0
    rejected: int = 0
    last_line: int = 0
    numbered: str = "line"
    examples: list[RejectedRow] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    corrected: Counter[str] = field(default_factory=Counter)
    not_imported: Counter[str] = field(default_factory=Counter)

    def reject(self, line: int, name: str | None, error: str) -> None:
        """Count a rejected row."""
        self.rejected += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(RejectedRow(self.numbered, line, name, error))
        add(self.reasons, f"{name or 'row'} {OF_ROW.sub('', error)}")

    def lines(self) -> Iterator[str]:
        """Yield the report as lines of text."""
        figures = {
            "stored": self.stored,
            "valid": self.valid,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
            "skipped": self.skipped.total(),
        }
        shown = [f"{number:,} {name}" for name, number in figures.items() if number or name == "rejected"]
        yield f"{self.read:,} rows read: {', '.join(shown)}"
        if self.skipped:
            yield "Skipped:"
            yield from _counted(self.skipped)
        if self.rejected:
            yield "Rejected:"
            yield from (f"  {example}" for example in self.examples)
            if self.rejected > len(self.examples):
                yield "Rejected, by reason:"
                yield from _counted(self.reasons)
        if self.dropped:
            yield "Dropped, because it is content or no field:"
            yield from _counted(self.dropped)
        if self.corrected:
            yield "Corrected:"
            yield from _counted(self.corrected)
        if self.not_imported:
            yield "Columns that are not imported:"
            yield from _counted(self.not_imported)


def add(counts: Counter[str], name: str, number: int = 1) -> None:
    """Count a name, within MAX_REASONS names."""
    counts[name if name in counts or len(counts) < MAX_REASONS else OTHERS] += number


def _counted(counts: Mapping[str, int]) -> Iterator[str]:
    for name, number in sorted(counts.items(), key=lambda item: -item[1]):
        yield f"{number:>10,}  {name}"
