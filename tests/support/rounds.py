"""The rounds of a test that is repeated for all pages: `make test` runs some, `make test-full` all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def rounds(values: Iterable[Any], always: Collection[Any]) -> list[Any]:
    """Return the values for `parametrize`; those that are not in `always` are for `--full`."""
    return [value if value in always else pytest.param(value, marks=pytest.mark.full) for value in values]
