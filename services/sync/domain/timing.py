"""When to try again: exponential with jitter, so that a thousand failures do not return as one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import random

MOST_ATTEMPTS = 8
LONGEST = timedelta(minutes=60)


def backoff(attempt: int, first: timedelta, chance: Callable[[], float] = random) -> timedelta:
    """1, 2, 4 … 60 minutes for first = 1 minute; each with up to a fifth of jitter. `attempt` counts from 1."""
    whole = min(first * (1 << min(attempt - 1, 16)), LONGEST)
    return whole * (1 + chance() / 5)
