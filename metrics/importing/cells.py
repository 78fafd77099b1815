"""The text of a cell of CSV as the value that its field has."""

from __future__ import annotations

import re
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import orjson
from pydantic import BaseModel

from metrics.spreadsheets import unguarded

INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
MAX_NUMBER_TEXT = 40  # characters
BOOLEANS = {"true": True, "false": False, "True": True, "False": False}


@lru_cache
def types_of(model: type[BaseModel]) -> dict[str, type]:
    """Return the type of each field: bool, int, float, str or object (JSON)."""
    return {name: _type_of(field.annotation) for name, field in model.model_fields.items()}


def _type_of(annotation: Any) -> type:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _type_of(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return _type_of(next(each for each in get_args(annotation) if each is not type(None)))
    if annotation in (bool, int, float):
        return annotation  # type: ignore[no-any-return]
    if origin in (list, dict, tuple):
        return object
    if isinstance(annotation, type) and issubclass(annotation, str | Enum):
        return str
    return str  # times


def value_of(cell: str, wanted: type) -> Any:
    """Return the value of a cell, or its text if it is not of this type; validation reports that. None: it is empty."""
    if cell == "":
        return None
    text = unguarded(cell)
    if wanted is str:
        return text
    if wanted is bool:
        return BOOLEANS.get(text, text)
    if wanted is object:
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(text)
        return text
    number = as_number(text)
    return text if number is None else number


def as_number(text: str) -> int | float | None:
    """Return the number that a text is; None if it is none."""
    if INTEGER.fullmatch(text):
        return int(text)
    with suppress(ValueError):
        if len(text) <= MAX_NUMBER_TEXT:
            return float(text)
    return None
