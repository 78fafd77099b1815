"""Which tables a backup has."""

from __future__ import annotations

import pytest
from django.db import models

from llmmonitor.backup import tables
from llmmonitor.backup.rows import Table


class TheTables:
    def test_are_all_stored_or_omitted_on_purpose(self) -> None:
        undecided = tables.undecided()
        assert undecided == [], "add them to STORED or OMITTED in llmmonitor/backup/tables.py"

    def test_are_listed_once_and_exist(self) -> None:
        listed = [*tables.STORED, *tables.OMITTED]
        assert len(listed) == len(set(listed))
        assert set(listed) == {model._meta.label for model in tables.all_models()}

    @pytest.mark.parametrize("label", tables.STORED)
    def test_have_columns_that_can_be_stored(self, label: str) -> None:
        assert Table(label).columns

    def test_have_nullable_columns_where_one_is_omitted(self) -> None:
        omitted = [(label, column) for label, columns in tables.OMITTED_COLUMNS.items() for column in columns]
        assert all(tables.model_of(label)._meta.get_field(column).null for label, column in omitted)

    def test_keep_no_column_with_the_name_of_a_secret_in_the_clear(self) -> None:
        words = {"password", "passphrase", "secret", "secrets", "hash", "salt"}
        columns = [f"{label}.{column}" for label in tables.STORED for column in Table(label).columns]
        assert [column for column in columns if words & set(column.split(".")[-1].split("_"))] == [
            "alerts.Alert.labels_hash"  # of what is stored beside it
        ]


class AColumnOfAnUnknownType:
    def test_cannot_be_stored_silently(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("llmmonitor.backup.rows.KNOWN", (models.IntegerField,))
        with pytest.raises(TypeError, match=r"metrics\.ModelAlias\.name: a backup cannot store a CharField"):
            Table("metrics.ModelAlias")
