"""The tag `for` of templates of a body, with a limit: nested loops could run for hours, or fill the memory."""

from __future__ import annotations

from typing import cast

from django.template import Context, Node, NodeList
from django.template.base import Parser, Token
from django.template.defaulttags import ForNode, do_for

BUDGET = "_budget"  # of the context; templates cannot read names that begin with an underscore
MAX_ITERATIONS, MAX_CHARACTERS = 100_000, 10_000_000  # of all loops of a body together, those in others included


class TooLong(Exception):
    """The loops of a template have too many iterations, or their result too many characters."""

    def __init__(self) -> None:
        super().__init__(f"its loops make more than {MAX_ITERATIONS:,} iterations or {MAX_CHARACTERS:,} characters")


class Budget:
    """What the loops of a body may still do. A context has it as BUDGET."""

    def __init__(self) -> None:
        self._iterations, self._characters = MAX_ITERATIONS, MAX_CHARACTERS

    def spend(self, characters: int) -> None:
        """Count an iteration. Raises TooLong."""
        self._iterations -= 1
        self._characters -= characters
        if self._iterations < 0 or self._characters < 0:
            raise TooLong


class _Iteration(Node):
    def __init__(self, nodes: NodeList) -> None:
        self._nodes = nodes

    def render(self, context: Context) -> str:
        """Return the result of an iteration."""
        text = self._nodes.render(context)
        context[BUDGET].spend(len(text))
        return text


def limited_for(parser: Parser, token: Token) -> ForNode:
    """Return Django's node of a loop, whose iterations are counted."""
    loop: ForNode = do_for(parser, token)
    loop.nodelist_loop = NodeList([_Iteration(cast("NodeList", loop.nodelist_loop))])
    return loop
