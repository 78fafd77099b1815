"""The body of a webhook as a template, in a part of Django's template language that reads nothing but the message."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import orjson
from django.template import Context, Engine, Library, Template, TemplateSyntaxError, defaultfilters, defaulttags

from alerts.channels.message import Message
from alerts.channels.payload import as_dict
from alerts.channels.webhook.loops import BUDGET, Budget, TooLong, limited_for
from alerts.channels.webhook.samples import SAMPLES

MAX_LENGTH = 10_000
TAGS = ("comment", "for", "if", "verbatim", "with")
FILTERS = ("default", "default_if_none", "first", "floatformat", "join", "last", "length", "truncatechars", "upper")
_UNKNOWN = "\0%s\0"
_LABELS = re.compile(r"(?:^|\.)labels\.")  # a group has some of them only


def render(text: str, message: Message) -> bytes:
    """Return the body of a message, in UTF-8. Raises TooLong."""
    return _render(text, message, _engine("")).encode()


def check(text: str, is_json: bool) -> None:
    """Raise ValueError if a template is invalid, reads what messages do not have, or its result should be JSON."""
    for sample in SAMPLES:
        try:
            body, marked = _render(text, sample, _engine("")), _render(text, sample, _engine(_UNKNOWN))
        except (TemplateSyntaxError, TooLong) as error:
            raise ValueError(f"must be a valid template: {error}.") from None
        except Exception as error:
            raise ValueError(
                f"must be a valid template: {type(error).__name__} for a {sample.kind} message."
            ) from error
        if sample.alerts and (unknown := [name for name in marked.split("\0")[1::2] if not _LABELS.search(name)]):
            raise ValueError(f"must not use names that messages do not have: {', '.join(sorted(set(unknown)))}.")
        if is_json:
            _check_json(body, sample)


def _check_json(body: str, sample: Message) -> None:
    try:
        orjson.loads(body.encode())  # not of the type that templates return
    except orjson.JSONDecodeError as error:
        raise ValueError(
            f"must be JSON, also for texts with quotes: write {{{{ title|json }}}}. "
            f"Line {error.lineno} of the body for a {sample.kind} message: {error.msg}."
        ) from None


def _render(text: str, message: Message, engine: Engine) -> str:
    context = Context(as_dict(message) | {BUDGET: Budget()}, autoescape=False, use_l10n=False, use_tz=False)
    return str(Template(text, engine=engine).render(context))


@cache
def _engine(invalid: str) -> Engine:
    """Return an engine without loaders, and without the tags and filters that are not named above.

    invalid: what is written in place of a name that is not in the message.
    """
    library = Library()
    library.tags = {name: defaulttags.register.tags[name] for name in TAGS} | {"for": limited_for}
    library.filters = {name: defaultfilters.register.filters[name] for name in FILTERS}
    library.filter("json", _json)
    engine = Engine(dirs=[], loaders=[], autoescape=False, string_if_invalid=invalid)
    engine.template_builtins = [library]
    return engine


def _json(value: Any) -> str:
    """Return a value as JSON: a text with its quotes."""
    return orjson.dumps(value, default=str).decode()
