"""The names of models for reading: those with an alias are read under the name of their group.

The group is part of the statements that read labels, so it costs no further statement, and a change of an alias is in
the next result of each process. Only results about the past may be from a cache for five seconds. Raw rows keep the
name as sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from metrics.models import ModelAlias


def model_as_read(column: str = "model_name") -> Any:
    """Return the expression for the name under which the model of a row is read."""
    return Coalesce(
        Subquery(ModelAlias.objects.filter(name=OuterRef(column)).order_by().values("group")[:1]), F(column)
    )


def is_model(column: str, names: Iterable[str]) -> Q:
    """Return the condition that a model has one of these names, or is read under one of them."""
    listed = list(names)
    return Q(**{f"{column}__in": listed}) | Q(**{f"{column}__in": _aliases(listed).values("name")})


def names_as_sent(names: Iterable[str]) -> list[str]:
    """Return the names with those that are read under one of them."""
    listed = list(names)
    return [*listed, *_aliases(listed).values_list("name", flat=True)]


def group_of(name: str) -> str:
    """Return the name under which a model is read."""
    return ModelAlias.objects.filter(name=name).values_list("group", flat=True).first() or name


def _aliases(groups: list[str]) -> Any:
    return ModelAlias.objects.filter(group__in=groups).order_by()
