"""Waiting for what other processes do, with a sentence when it does not happen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from libs.local.client import Told
from libs.local.polling import polled

T = TypeVar("T")
EVERY_S = 0.1


def until(question: Callable[[], T | None], *, seconds: float, failing: str, hint: str = "") -> T:
    """The first answer that is not None or False; after `seconds` it is Told that this did not happen."""
    answer = polled(question, seconds=seconds, every=EVERY_S)
    if answer is None:
        raise Told(f"{failing} (waited {seconds:.0f} s).", hint or "The logs in .sluice/logs tell why.")
    return answer
