"""The sentence at the top of a page, and what the sentences of several pages share. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dashboard.parts import COULD_NOT_READ

MAX_NAMES = 3


@dataclass(frozen=True)
class Sentence:
    """State (`ok`, `warning`, `critical`, `quiet`), headline, explanation, and the id of the tile it is about.

    links: the addresses of what the texts name, by name
    """

    state: str
    title: str
    text: str
    about: str = ""
    links: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the sentence ready for JSON."""
        return asdict(self)


UNREAD = Sentence(
    "quiet", COULD_NOT_READ, "Reading them took too long. A shorter time range or fewer filters take less."
)


def where_known(sentence: Sentence, is_known: bool) -> Sentence:
    """Return the sentence; that all is well or that there is nothing cannot be said of figures that are not known."""
    return sentence if is_known or sentence.state in ("warning", "critical") else UNREAD


def listed(names: Sequence[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`, `a, b, c and 2 more`."""
    if len(names) > MAX_NAMES:
        return f"{', '.join(names[:MAX_NAMES])} and {len(names) - MAX_NAMES} more"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
