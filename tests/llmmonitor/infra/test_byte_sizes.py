"""Numbers of bytes in words."""

from __future__ import annotations

import pytest

from llmmonitor.infra.byte_sizes import format_bytes


class ANumberOfBytes:
    @pytest.mark.parametrize(
        ("number", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (200 * 2**20, "200 MiB")]
    )
    def test_has_three_digits(self, number: int, text: str) -> None:
        assert format_bytes(number) == text
