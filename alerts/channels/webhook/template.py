"""The body of a webhook as a template, in a part of Django's template language that reads nothing but the message."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson

from alerts.channels.message import Message
from alerts.channels.payload import as_dict
from alerts.channels.webhook.samples import SAMPLES

if TYPE_CHECKING:
    from django.template import Engine
    from django.template.base import Parser, Token
    from django.template.defaulttags import ForNode

MAX_LENGTH = 10_000
TAGS = ("comment", "for", "if", "verbatim", "with")
FILTERS = ("default", "default_if_none", "first", "floatformat", "join", "last", "length", "truncatechars", "upper")
# Of all turns of all loops of a template, nested ones included: so nested loops cannot run for hours.
MAX_TURNS, MAX_CHARACTERS = 100_000, 10_000_000
_UNKNOWN = "\0%s\0"
_USED = "used"
_LABELS = re.compile(r"(?:^|\.)labels\.")  # a group has some of them only


class TooLong(Exception):
    """The loops of a template have too many turns, or their result too many characters."""

    def __init__(self) -> None:
        super().__init__(f"its loops make more than {MAX_TURNS:,} turns or {MAX_CHARACTERS:,} characters")


def render(text: str, message: Message) -> bytes:
    """Return the body of a message, in UTF-8. Raises TooLong."""
    return _render(text, message, _engine("")).encode()


def check(text: str, is_json: bool) -> None:
    """Raise ValueError if a template is invalid, reads what messages do not have, or its result should be JSON."""
    from django.template import TemplateSyntaxError

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
    from django.template import Context, Template

    context = Context(as_dict(message), autoescape=False, use_l10n=False, use_tz=False)
    return str(Template(text, engine=engine).render(context))


@cache
def _engine(invalid: str) -> Engine:
    """Return an engine without loaders, and without the tags and filters that are not named above.

    invalid: what is written in place of a name that is not in the message.
    """
    from django.template import Engine, Library, defaultfilters, defaulttags

    library = Library()
    library.tags = {name: defaulttags.register.tags[name] for name in TAGS} | {"for": _limited_for}
    library.filters = {name: defaultfilters.register.filters[name] for name in FILTERS}
    library.filter("json", _json)
    engine = Engine(dirs=[], loaders=[], autoescape=False, string_if_invalid=invalid)
    engine.template_builtins = [library]
    return engine


def _limited_for(parser: Parser, token: Token) -> ForNode:
    """Return Django's node of a loop, which counts what it does for a rendering."""
    from django.template import Context, Node, NodeList, defaulttags

    class Turn(Node):
        def __init__(self, nodes: NodeList) -> None:
            self.nodes = nodes

        def render(self, context: Context) -> str:
            text = self.nodes.render(context)
            used = context.render_context.setdefault(_USED, [0, 0])
            used[0] += 1
            used[1] += len(text)
            if used[0] > MAX_TURNS or used[1] > MAX_CHARACTERS:
                raise TooLong
            return text

    loop: ForNode = defaulttags.do_for(parser, token)
    loop.nodelist_loop = NodeList([Turn(loop.nodelist_loop)])
    return loop


def _json(value: Any) -> str:
    """Return a value as JSON: a text with its quotes."""
    return orjson.dumps(value, default=str).decode()
