"""Descriptions of view methods for the OpenAPI document, stored on the methods as plain data.

They do not use drf-spectacular, because a server must not import it at its start. `metrics.api.openapi.views` passes
them to drf-spectacular.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from metrics.api.openapi.response_schemas import PROBLEMS, problems

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
    """Return a decorator that stores the arguments of drf-spectacular's `extend_schema` on a method.

    `parameters` is a sequence of Parameter. `example` is an example of the request body.
    """

    def decorate(method: Method) -> Method:
        method.openapi_description = description  # type: ignore[attr-defined]
        return method

    return decorate


def describe_get(
    summary: str, schema: Any, parameters: Sequence[Parameter] = (), *, may_be_missing: bool = False, **more: Any
) -> Callable[[Method], Method]:
    """Return a decorator for a GET method: `schema` describes its 200 response; errors are added.

    `may_be_missing`: the method may respond with 404. `more` are further arguments of `describe`.
    """
    not_found = problems(404) if may_be_missing else {}
    return describe(summary=summary, parameters=parameters, responses={200: schema, **not_found, **PROBLEMS}, **more)
