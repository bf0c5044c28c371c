"""Asking again until there is an answer: other processes tell nobody when they are done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def polled(question: Callable[[], T | None], *, seconds: float, every: float) -> T | None:
    """The first answer that is not None or False; None when there was none within `seconds`. Asked at least once."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > deadline:
            return None
        time.sleep(every)
