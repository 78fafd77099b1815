"""What is recorded of an exception."""

from __future__ import annotations

import os
from pathlib import Path
from traceback import StackSummary, TracebackException, walk_stack

MAX_FRAMES = 50  # of a stack trace
MAX_CALLERS = 10
PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"


def trace_of(error: BaseException) -> TracebackException:
    """Return what is recorded of an exception: without values of variables, and without the frames themselves.

    Its frames begin with those that have called the function that was recorded; those of this package are left out. It
    is formatted later, by the sender's thread.
    """
    described = TracebackException.from_exception(error, limit=-MAX_FRAMES, lookup_lines=False)
    outermost = error.__traceback__ and error.__traceback__.tb_frame.f_back
    if outermost is not None:
        callers = StackSummary.extract(walk_stack(outermost), limit=MAX_CALLERS, lookup_lines=False)
        frames = [frame for frame in [*reversed(callers), *described.stack] if not frame.filename.startswith(PACKAGE)]
        described.stack = StackSummary.from_list(frames)
    return described
