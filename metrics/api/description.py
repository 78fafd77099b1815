"""What the OpenAPI document says about a view, kept on its methods as plain data.

The server must not load drf-spectacular before somebody opens `/schema` or `/docs`. `metrics.api.openapi` applies the
descriptions then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query or path parameter. `many`: it may be repeated."""

    name: str
    type: type = str
    description: str = ""
    many: bool = False
    enum: tuple[str, ...] | None = None
    location: Literal["query", "path"] = "query"


def describe(**description: Any) -> Callable[[Method], Method]:
    """Keep the arguments of drf-spectacular's `extend_schema` on a method. Parameters are `Parameter` objects.

    `example` is an example of the request body.
    """

    def keep(method: Method) -> Method:
        method.openapi_description = description  # type: ignore[attr-defined]
        return method

    return keep
