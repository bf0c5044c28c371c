"""Loading beside workers: whoever works has the interpreter first."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.001  # a module takes half of that to load
_one_at_a_time = threading.Lock()


def giving_way(load: Callable[[], T]) -> T:
    """For a thread of its own. Threads share the interpreter evenly and know no ranks, but one that pauses leaves it to
    the others; and of several that load, one at a time stands in the way."""
    with _one_at_a_time:
        finder = _Pausing()
        sys.meta_path.insert(0, finder)
        try:
            return load()
        finally:
            sys.meta_path.remove(finder)


class _Pausing(MetaPathFinder):
    """Finds nothing; is asked before each module."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if threading.get_ident() == self._thread:
            _pause()
        return None


def _pause() -> None:
    time.sleep(PAUSE_SECONDS)
