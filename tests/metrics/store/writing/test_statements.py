"""Rows written in bulk are those that Django's own fields would write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import ForeignKey

from metrics.models import RawFloor
from metrics.store.writing.statements import CHUNKS, Insert, converter

pytestmark = [pytest.mark.store, pytest.mark.django_db]

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SAMPLES: dict[str, list[Any]] = {
    "DateTimeField": [AT, AT.replace(microsecond=120_000), AT.astimezone(timezone(timedelta(hours=-7)))],
    "JSONField": [{"a": [1, None, "ü"]}, {"big": 1e20}, [], "text"],
    "BooleanField": [True, False],
    "FloatField": [0.1, 1e300, 3],
    "BinaryField": [b"", b"\0\xff"],
    "CharField": ["", "ü😀"],
    "TextField": ["", "ü😀"],
}
FIELDS = [
    field
    for model in apps.get_app_config("metrics").get_models()
    for field in model._meta.fields
    if not field.primary_key and not isinstance(field, ForeignKey)
]


class AValue:
    @pytest.mark.parametrize("field", FIELDS, ids=str)
    def test_is_what_its_field_would_make_of_it(self, field: Any) -> None:
        convert = converter(field, connection.vendor) or (lambda value: value)
        for value in SAMPLES.get(field.get_internal_type(), [0, 2**31 - 1]):
            own, djangos = convert(value), field.get_db_prep_save(value, connection)
            if isinstance(own, str) and field.get_internal_type() == "JSONField":
                own, djangos = (field.from_db_value(text, None, connection) for text in (own, djangos))
            if field.get_internal_type() in ("JSONField", "BinaryField"):
                own, djangos = (getattr(one, "obj", one) for one in (own, djangos))
            assert bytes(own) == bytes(djangos) if isinstance(own, bytes | memoryview) else own == djangos


class AnInsert:
    @pytest.mark.parametrize("rows", [0, 1, 3, 5, 63, 64, 1_000, sum(CHUNKS)])
    def test_writes_any_number_of_rows(self, rows: int) -> None:
        insert = Insert(RawFloor, ("kind", "at"), conflict=("kind",), returning=("kind",))
        names = [f"r{n:04}" for n in range(rows)]
        assert insert.run([(name, AT) for name in names]) == [(name,) for name in names]
        assert sorted(RawFloor.objects.values_list("kind", "at")) == [(name, AT) for name in names]

    def test_answers_the_new_rows_alone(self) -> None:
        insert = Insert(RawFloor, ("kind", "at"), conflict=("kind",), returning=("kind",))
        insert.run([("a", AT), ("b", AT)])
        assert insert.run([("b", AT), ("c", AT), ("c", AT)]) == [("c",)]

    def test_overwrites_the_named_columns_on_a_conflict(self) -> None:
        insert = Insert(RawFloor, ("kind", "at"), conflict=("kind",), update=("at",))
        later = AT + timedelta(seconds=1)
        insert.run([("a", AT)])
        assert insert.run([("a", later)]) == []
        assert RawFloor.objects.get().at == later

    def test_counts_the_new_rows(self) -> None:
        insert = Insert(RawFloor, ("kind", "at"), conflict=("kind",))
        assert insert.count([(f"r{n}", AT) for n in range(0, 700, 2)]) == 350
        assert insert.count([(f"r{n}", AT) for n in range(700)]) == 350

    def test_of_the_widest_rows_stays_within_the_limit_on_variables(self) -> None:
        widest = max(len(model._meta.concrete_fields) for model in apps.get_app_config("metrics").get_models())
        assert widest * CHUNKS[0] <= 32_766  # the default of SQLite 3.32 and later; that of PostgreSQL is 65,535
