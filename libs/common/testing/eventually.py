"""Waiting for a fact instead of for time: a test that sleeps is slow when all is well and flaky when it is not."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(question: Callable[[], Awaitable[T]], *, timeout: float = ..., interval: float = ...) -> T: ...
@overload
async def eventually(question: Callable[[], T], *, timeout: float = ..., interval: float = ...) -> T: ...
async def eventually(
    question: Callable[[], object],
    *,
    timeout: float = 20.0,
    interval: float = 0.05,
) -> object:
    """Asks until the answer is truthy, and returns it; a failing assertion means "not yet".

    A function that promises None can only assert: its None is a yes. Where it may be None or a thing, None is a no.
    After `timeout` seconds the last AssertionError is raised, or one that shows the last answer.
    Any other exception is raised at once.
    """
    deadline = time.monotonic() + timeout
    while True:
        failure = AssertionError(f"no answer: {_name(question)}")
        try:
            answer, asserted = await _ask(question)
            if answer or (answer is None and asserted):
                return answer
            failure = AssertionError(f"still {answer!r} after {timeout} s: {_name(question)}")
        except AssertionError as error:
            failure = error
        if time.monotonic() >= deadline:
            raise failure
        await asyncio.sleep(interval)


async def _ask(question: Callable[[], object]) -> tuple[object, bool]:
    """The answer, and whether None is all that the question ever answers."""
    answer = question()
    promised = getattr(getattr(question, "func", question), "__annotations__", {}).get("return", ...)  # or a partial's
    return (await answer if inspect.isawaitable(answer) else answer), promised in (None, "None")


def _name(question: Callable[..., object]) -> str:
    return getattr(question, "__qualname__", repr(question))
