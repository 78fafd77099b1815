"""One request to a model, from its start to its end, as the caller sees it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from time import perf_counter_ns, time_ns
from traceback import TracebackException
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from llmmonitor.client.decorator import Function, decorated
from llmmonitor.client.request_id import new_request_id
from llmmonitor.client.traces import trace_of
from llmmonitor.client.warn import warn

if TYPE_CHECKING:
    from llmmonitor.client.sender import Sender

# The caller has given up: not a failure of the model. asyncio, concurrent.futures and Trio each have a class for
# cancellation; they are not imported for it.
GIVEN_UP = (GeneratorExit, KeyboardInterrupt, SystemExit)
CANCELLED = frozenset({"CancelledError", "Cancelled"})


class Call:
    """A request to a model. `with` and `async with` record its time, its outcome and what its methods are told, once.

    fields: fields of the event, such as `temperature`; names that LLM Monitor does not know become metadata.

    Entering and leaving take about two microseconds, because all other work is left to the sender's thread.
    """

    __slots__ = ("_end_ns", "_first_ns", "_sender", "_start_ns", "error", "fields", "model_name", "started_at_ns")

    def __init__(self, sender: Sender, model_name: str, fields: dict[str, Any]) -> None:
        self._sender = sender
        self.model_name = model_name
        self.fields = fields
        self.error: TracebackException | None = None
        self._start_ns = self._first_ns = self._end_ns = 0

    def __enter__(self) -> Self:
        if self._end_ns:
            warn("ended", "A call that had ended was entered again; that is not recorded. Each request needs a call.")
            return self
        self.started_at_ns = time_ns()
        sender = self._sender
        if not sender.is_running:
            sender.start()
        sender.in_flight[self] = None
        self._start_ns = perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._end_ns:
            self._end_ns = perf_counter_ns()
        if self._sender.in_flight.pop(self, self) is not None:
            return  # ended before
        if error is not None:
            self.fail(error)
        self._sender.put(self)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Function) -> Function:
        """Decorate a function: each of its calls is a request with these fields.

        Of an asynchronous function, the time is that until its result; of a generator, that until its last value, and
        its first value is the first token.
        """
        return decorated(function, lambda: Call(self._sender, self.model_name, dict(self.fields)))

    @property
    def request_id(self) -> str:
        """The id of the request: the given one, or a new UUID (version 7)."""
        if not (given := self.fields.get("request_id")):
            given = self.fields["request_id"] = new_request_id()
        return str(given)

    @property
    def has_ended(self) -> bool:
        """Whether the call has ended, and may have been sent."""
        return self._end_ns != 0

    @property
    def response_time_ms(self) -> float:
        """The time from the start to the end, or until now."""
        return ((self._end_ns or perf_counter_ns()) - self._start_ns) / 1e6

    @property
    def ttft_ms(self) -> float | None:
        """The time from the start to the first token; None if it is not known."""
        return (self._first_ns - self._start_ns) / 1e6 if self._first_ns else None

    def first_token(self) -> None:
        """Say that the first token has arrived. Later calls do nothing."""
        if not self._first_ns:
            self._first_ns = perf_counter_ns()

    def usage(self, prompt_tokens: int | None = None, completion_tokens: int | None = None, **fields: Any) -> None:
        """Set the numbers of tokens; further fields are such as `cached_tokens` and `reasoning_tokens`."""
        own = self.fields
        if prompt_tokens is not None:
            own["prompt_tokens"] = prompt_tokens
        if completion_tokens is not None:
            own["completion_tokens"] = completion_tokens
        if fields:
            self.update(**fields)

    def update(self, **fields: Any) -> None:
        """Set fields of the event, such as `finish_reason`, `status_code` or `cost_usd`. None changes nothing."""
        for name, value in fields.items():
            if value is not None:
                self.fields[name] = value

    def metadata(self, **pairs: Any) -> None:
        """Add metadata."""
        self.fields["metadata"] = {**copy_of(self.fields.get("metadata")), **pairs}

    def headroom(self, remaining_requests: int | None = None, remaining_tokens: int | None = None) -> None:
        """Report what the provider's rate limit still allows, as `LLMMonitor.headroom` does."""
        self._sender.headroom(self.model_name, self.fields.get("provider", ""), remaining_requests, remaining_tokens)

    def fail(self, error: BaseException) -> None:
        """Say that the request has failed. In a `with` block, exceptions that leave it are recorded without this."""
        with suppress(Exception):
            given_up = is_given_up(error)
            self.fields.setdefault("error_type", "CancelledError" if given_up else type(error).__name__)
            if given_up:
                return
            # Errors of httpx, requests and huggingface_hub have it in their response.
            status = getattr(error, "status_code", getattr(getattr(error, "response", None), "status_code", None))
            if isinstance(status, int) and 100 <= status < 600:
                self.fields.setdefault("status_code", status)
            self.error = trace_of(error)

    def discard(self) -> None:
        """Forget the start of a call: it is not recorded, unless it is started again."""
        self._sender.in_flight.pop(self, None)

    def end(self, error: BaseException | None = None) -> None:
        """End a call that was started with `LLMMonitor.start`. Later calls do nothing."""
        if not self.has_ended:
            self.__exit__(None if error is None else type(error), error, None)


def is_given_up(error: BaseException | None) -> bool:
    """Return whether the caller has given up."""
    return isinstance(error, GIVEN_UP) or type(error).__name__ in CANCELLED


def copy_of(metadata: Any) -> dict[str, Any]:
    """Return a copy, because the caller may change its own before it is sent. What is not a mapping is left out."""
    return dict(metadata) if isinstance(metadata, Mapping) else {}
