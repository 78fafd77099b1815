"""What may stand in a body, and what is answered to every other."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from contextlib import suppress
from math import inf, nan
from typing import Any
from unittest import mock

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import metrics.ingest.body
from metrics.events import Unreadable
from metrics.ingest.body import MAX_LOOP_BYTES, BodyError, Limits, _without_deep_values, inflate, read_items

JSON = "application/json"
LINES = "application/x-ndjson"
SMALL = Limits(max_body_bytes=100_000, max_events=10)
MANY = Limits(max_body_bytes=2**20, max_events=10_000)
TOKENS = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b'"a":', b'"events":', b" ", b"\n", b"\0", b"\xef\xbb\xbf"),
    *(b"NaN", b"-Infinity", b"1e400", b"9" * 400, b"-", b"0", b"1", b".5", b"null", b"true"),
    *(b"\\ud83d", b"\\ude00", b"\\u0000", b"\xff", b"\xed\xa0\xbd", "é".encode()),
    *(bracket * levels for bracket in (b"[", b"]", b'{"a":', b"}") for levels in (120, 1_200)),
]


def read(
    body: bytes, content_type: str | None = JSON, encoding: str | None = None, limits: Limits = SMALL
) -> list[Any]:
    return read_items(body, content_type, encoding, limits)[0]


def refusal(body: bytes, content_type: str | None = JSON, encoding: str | None = None) -> tuple[int, str]:
    with pytest.raises(BodyError) as refused:
        read(body, content_type, encoding)
    assert refused.value.detail.endswith(".")
    return refused.value.status, refused.value.code


class ABody:
    @pytest.mark.parametrize(
        ("body", "items"),
        [
            (b'{"a": 1}', [{"a": 1}]),
            (b'[{"a": 1}, 2, null]', [{"a": 1}, 2, None]),
            (b'{"events": [{"a": 1}], "sdk": "x"}', [{"a": 1}]),
            (b'\xef\xbb\xbf[{"a": 1}]\n', [{"a": 1}]),
        ],
    )
    def test_is_an_object_an_array_or_an_object_with_events(self, body: bytes, items: list[Any]) -> None:
        assert read(body) == items

    @pytest.mark.parametrize(
        "content_type", [LINES, "application/ndjson", "application/jsonl", "Application/X-NDJSON; charset=UTF-8"]
    )
    def test_is_lines_of_json(self, content_type: str) -> None:
        assert read(b'\r\n{"a": 1}\r\n\n  {"a": 2}\n \n{"a": 3}', content_type) == [{"a": 1}, {"a": 2}, {"a": 3}]

    def test_keeps_its_good_lines_beside_a_broken_one(self) -> None:
        first, broken, last = read(b'{"a": 1}\n{"a": \n{"a": 3}\n', LINES)
        assert (first, last) == ({"a": 1}, {"a": 3})
        assert isinstance(broken, Unreadable)
        assert broken.error.startswith("is not JSON: ")

    @pytest.mark.parametrize(
        "content_type", ['application/json; charset="utf-8"', "application/json;charset=UTF8", "APPLICATION/JSON"]
    )
    def test_is_utf_8(self, content_type: str) -> None:
        assert read('{"a": "é"}'.encode(), content_type) == [{"a": "é"}]

    @pytest.mark.parametrize(
        "content_type",
        [
            None,
            "",
            "text/plain",
            "text/plain; charset=utf-8",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/xml",
            "application/json/x",
            "json",
            "text/plain, application/json",
        ],
    )
    def test_is_refused_for_another_or_no_type(self, content_type: str | None) -> None:
        assert refusal(b"{}", content_type) == (415, "unsupported_media_type")

    def test_is_refused_for_another_charset_or_encoding(self) -> None:
        assert refusal(b"{}", "application/json; charset=latin-1") == (415, "unsupported_charset")
        for encoding in ("deflate", "br", "gzip, gzip", "zstd"):
            assert refusal(b"{}", JSON, encoding) == (415, "unsupported_encoding")

    @pytest.mark.parametrize("content_type", [JSON, LINES])
    def test_is_refused_when_it_is_empty(self, content_type: str) -> None:
        for body in (b"", b" \n ", b"\xef\xbb\xbf"):
            assert refusal(body, content_type) == (400, "empty_body")

    def test_is_refused_as_an_empty_batch(self) -> None:
        assert refusal(b"[]") == (400, "empty_batch")
        assert refusal(b'{"events": []}') == (400, "empty_batch")

    @pytest.mark.parametrize("body", [b"5", b'"x"', b"null", b"true", b'{"events": {}}', b'{"events": null}'])
    def test_is_refused_when_it_holds_no_events(self, body: bytes) -> None:
        assert refusal(body) == (400, "bad_batch")

    @pytest.mark.parametrize(
        "body",
        [
            b'[{"a": 1}',
            b'{"a": nan}',
            b'{"a": 01}',
            b'{"a": +1}',
            b'{"a": "\\ud80"}',
            b'{"a": \xff}',
            b"{'a': 1}",
            b'{"a": 1} {"a": 2}',
            b"[" * 999 + b"1",
            b"\0",
        ],
    )
    def test_is_refused_when_it_is_not_json_and_told_where(self, body: bytes) -> None:
        with pytest.raises(BodyError, match=r"line \d+ column \d+") as refused:
            read(body)
        assert (refused.value.status, refused.value.code) == (400, "bad_json")

    @pytest.mark.parametrize("body", [b"[" * 50_000, b'{"a":' * 50_000, b"[" * 50_000 + b"]" * 49_950])
    def test_is_refused_when_it_is_nested_without_end(self, body: bytes) -> None:
        with pytest.raises(BodyError, match=r"line \d+ column \d+"):
            read(body, limits=MANY)

    def test_is_refused_over_the_limit_of_events(self) -> None:
        assert len(read(orjson.dumps([{}] * 10))) == 10
        assert refusal(orjson.dumps([{}] * 11)) == (413, "too_many_events")
        assert refusal(b"{}\n" * 11, LINES) == (413, "too_many_events")

    def test_is_refused_for_brackets_that_would_fill_the_memory(self) -> None:
        assert refusal(b'{"a": [' + b"[]," * 1001 + b"1]}") == (413, "too_many_values")

    @given(
        st.binary(max_size=200) | st.lists(st.sampled_from(TOKENS), max_size=25).map(b"".join),
        st.sampled_from([JSON, LINES, "x", None]),
        st.sampled_from([None, "gzip"]),
    )
    def test_is_read_or_refused_and_never_anything_else(
        self, body: bytes, content_type: str | None, encoding: str | None
    ) -> None:
        with suppress(BodyError):
            assert read(body, content_type, encoding)


class AHalfOfACharacter:
    """Text that a client has cut: in the middle of a surrogate pair, or of the bytes of a character."""

    @pytest.mark.parametrize(
        ("sent", "text"),
        [
            (rb"cut \ud83d", "cut \ufffd"),
            (rb"\uDE00 rest", "\ufffd rest"),
            (rb"\ud83d\ude00", "\U0001f600"),
            (rb"\ud83d\ude00\ude00", "\U0001f600\ufffd"),
            (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
            (rb"\ude00\ud83d", "\ufffd\ufffd"),
            (rb"\ud83d\u0041\n\"", '\ufffdA\n"'),
            (rb"\\ud83d \\\ud83d", "\\ud83d \\\ufffd"),
            (rb"\\ud83d\ude00", "\\ud83d\ufffd"),
            ("cut 😀".encode()[:-1], "cut \ufffd"),
            (b"\xff\\ud83d", "\ufffd\ufffd"),
            (b"\xed\xa0\xbd", "\ufffd\ufffd\ufffd"),
        ],
    )
    def test_becomes_the_replacement_character(self, sent: bytes, text: str) -> None:
        mark = b"\\ud83d"  # the body is mended only if it cannot be parsed
        assert read(b'[{"a": "' + sent + b'", "b": "' + mark + b'"}]') == [{"a": text, "b": "\ufffd"}]

    @pytest.mark.parametrize("half", [b"\\ud83d", b"\xf0\x9f"])
    def test_costs_no_event_in_any_form_of_a_batch(self, half: bytes) -> None:
        first, second = b'{"a": "' + half + b'", "' + half + b'": 1}', b'{"a": 2}'
        expected = [{"a": "\ufffd", "\ufffd": 1}, {"a": 2}]
        assert read(b"[" + first + b"," + second + b"]") == expected
        assert read(b'{"events": [' + first + b"," + second + b"]}") == expected
        assert read(first + b"\n" + second, LINES) == expected
        assert read(gzip.compress(first + b"\n" + second), LINES, "gzip") == expected
        assert read(first) == expected[:1]

    def test_is_not_the_error_of_a_body_that_has_another(self) -> None:
        with pytest.raises(BodyError, match="line 1 column 17 "):
            read(b'{"a": "\\ud83d", "b": none}')

    @given(st.text(st.characters(categories=["Cs", "L", "So"], include_characters='\\"\n'), max_size=30))
    def test_changes_nothing_else(self, text: str) -> None:
        body = json.dumps([text, "\ud83d"]).encode()
        assert read(body) == [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), "\ufffd"]


def in_each_form(first: bytes, second: bytes) -> list[tuple[bytes, str]]:
    """Return bodies of two events: an array, an object with an array, and lines."""
    both = first + b"," + second
    return [(b"[" + both + b"]", JSON), (b'{"events": [' + both + b"]}", JSON), (first + b"\n" + second, LINES)]


class ANumber:
    """What JSON writers write beyond the numbers of JSON, or of a 64-bit float."""

    @pytest.mark.parametrize(
        ("sent", "number"),
        [
            ("NaN", nan),
            ("Infinity", inf),
            ("-Infinity", -inf),
            ("1e400", inf),
            ("-1e400", -inf),
            ("1e-400", 0.0),
            ("9" * 400, inf),
            ("-" + "9" * 5_000, -inf),
            ("0." + "1" * 5_000, 1 / 9),
        ],
    )
    def test_costs_no_event_in_any_form_of_a_batch(self, sent: str, number: float) -> None:
        first = f'{{"a": {sent}, "b": [{sent}]}}'.encode()
        for body, content_type in in_each_form(first, b'{"a": 2}'):
            items = read(body, content_type)
            assert repr(items) == repr([{"a": number, "b": [number]}, {"a": 2}])

    @given(st.lists(st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)))
    @example([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**19, -(10**19), -0.0, 1e-320])
    def test_is_the_same_beside_nan(self, numbers: list[float]) -> None:
        assert repr(read(json.dumps([*numbers, nan]).encode(), limits=MANY)[:-1]) == repr(
            orjson.loads(json.dumps(numbers))
        )


class ABodyThatIsNotStandardJson:
    def test_waits_for_another_only_if_it_is_too_large_for_an_event_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lock = mock.MagicMock()
        monkeypatch.setattr(metrics.ingest.body, "_mending", lock)
        read(b'{"a": NaN}'.ljust(MAX_LOOP_BYTES))
        assert not lock.__enter__.called
        read(b'{"a": NaN}'.ljust(MAX_LOOP_BYTES + 1))
        assert lock.__enter__.called


class ADeeplyNestedValue:
    @pytest.mark.parametrize("levels", [200, 1_100, 20_000])
    @pytest.mark.parametrize(
        ("opening", "closing"), [(b'{"]\\"": ', b"}"), (b"[ ", b" ]"), (b'["[{", 1, {"a":[', b"]}]")]
    )
    def test_costs_no_event_in_any_form_of_a_batch(self, opening: bytes, closing: bytes, levels: int) -> None:
        first = b'{"a": ' + opening * levels + b"1" + closing * levels + b', "b": 1}'
        for body, content_type in in_each_form(first, b'{"a": 2}'):
            deep, flat = read(body, content_type, limits=MANY)
            assert (deep["b"], flat) == (1, {"a": 2})

    @given(
        st.recursive(
            st.none() | st.integers() | st.text('[]{}\\", a', max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"', max_size=2), inner, max_size=3)
            ),
        ),
        st.integers(2, 5),
    )
    def test_is_null_below_the_limit_of_levels(self, value: Any, limit: int) -> None:
        def cut(value: Any, levels: int) -> Any:
            if not isinstance(value, (list, dict)):
                return value
            if not levels:
                return None
            if isinstance(value, list):
                return [cut(entry, levels - 1) for entry in value]
            return {key: cut(entry, levels - 1) for key, entry in value.items()}

        with mock.patch.object(metrics.ingest.body, "MAX_LEVELS", limit):
            mended = _without_deep_values(json.dumps(value))
        assert json.loads(mended) == cut(value, limit)


class AControlCharacterInAString:
    """Shell scripts write the text of a variable into JSON as it is: with line breaks, tabs, escape sequences."""

    @pytest.mark.parametrize("text", ["two\nlines", "a\tb", "a\r\nb", "\x1b[31mred", "a\0b", "\x1f"])
    def test_is_kept_and_costs_no_event_of_its_array(self, text: str) -> None:
        body = b'[{"a": "' + text.encode() + b'", "' + text.encode() + b'": 1}, {"a": 2}]'
        assert read(body) == [{"a": text, text: 1}, {"a": 2}]
        nested = b"[" * 2_000 + b"]" * 2_000
        assert read(b"[" + nested + b"," + body[1:], limits=MANY)[1:] == [{"a": text, text: 1}, {"a": 2}]

    def test_is_kept_in_a_line_unless_it_ends_the_line(self) -> None:
        assert read(b'{"a": "b\tc"}', LINES) == [{"a": "b\tc"}]
        first, second, third = read(b'{"a": "b\nc"}\n{"a": 2}', LINES)
        assert (type(first), type(second), third) == (Unreadable, Unreadable, {"a": 2})


class AGzipBody:
    @pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
    def test_is_unpacked(self, encoding: str) -> None:
        assert read(gzip.compress(b'{"a": 1}'), JSON, encoding) == [{"a": 1}]

    def test_may_have_several_members(self) -> None:
        assert read(gzip.compress(b'[{"a"') + gzip.compress(b"") + gzip.compress(b": 1}]"), JSON, "gzip") == [{"a": 1}]

    @pytest.mark.parametrize(
        "body",
        [
            b'{"a": 1}',
            gzip.compress(b'{"a": 1}', mtime=0)[:-1],
            gzip.compress(b'{"a": 1}', mtime=0)[:12],
            gzip.compress(b'{"a": 1}', mtime=0) + b"rest",
            gzip.compress(b'{"a": 1}', mtime=0)[:-8] + bytes(8),
            zlib.compress(b'{"a": 1}'),
            b"",
        ],
    )
    def test_is_refused_when_it_is_damaged(self, body: bytes) -> None:
        assert refusal(body, JSON, "gzip") == (400, "bad_gzip")

    def test_may_unpack_to_the_limit_and_no_further(self) -> None:
        exact = gzip.compress(b"[1]".ljust(100_000))
        assert read(exact, JSON, "gzip") == [1]
        assert read(gzip.compress(b"[1]") + gzip.compress(b" " * 99_997), JSON, "gzip") == [1]
        assert refusal(gzip.compress(b"[1]".ljust(100_001)), JSON, "gzip") == (413, "too_large")
        assert refusal(exact + gzip.compress(b" "), JSON, "gzip") == (413, "too_large")

    def test_that_is_a_bomb_costs_no_more_than_the_limit(self) -> None:
        bomb = gzip.compress(bytes(200 * 2**20), compresslevel=1)
        limits = Limits(max_body_bytes=2**20, max_events=10)
        tracemalloc.start()
        try:
            with pytest.raises(BodyError) as refused:
                inflate(bomb, limits)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert refused.value.status == 413
        assert peak < 4 * 2**20

    def test_is_refused_for_too_many_members(self) -> None:
        body = gzip.compress(b"") * 1_001
        assert refusal(body, JSON, "gzip") == (400, "bad_gzip")

    @given(st.lists(st.binary(max_size=2000), min_size=1, max_size=5))
    def test_unpacks_to_what_was_packed(self, parts: list[bytes]) -> None:
        packed = b"".join(gzip.compress(part) for part in parts)
        assert inflate(packed, SMALL) == b"".join(parts)
