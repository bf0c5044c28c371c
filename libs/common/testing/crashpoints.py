"""Named places where a test may kill the process, to prove that every step between two commits can be lost."""

from __future__ import annotations

import ast
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

VARIABLE = "SLUICE_CRASHPOINT"
# A directory in which a test may leave an order for a running process: the file is its pid, the content a name.
ORDERS = "SLUICE_CRASHPOINT_ORDERS"

_hits: Counter[str] = Counter()
_orders = os.environ.get(ORDERS)
_watched: ContextVar[Callable[[str], None] | None] = ContextVar("watched", default=None)


class ProcessDied(BaseException):
    """The death of a process that a test only plays: no handler of errors in product code may catch it."""


@contextmanager
def watching(arrived: Callable[[str], None]) -> Iterator[None]:
    """Inside, `arrived` is told each point that this task or one it started comes by; it may raise ProcessDied."""
    token = _watched.set(arrived)
    try:
        yield
    finally:
        _watched.reset(token)


def crashpoint(name: str) -> None:
    """Kills this process (SIGKILL, so nothing is tidied up) at the n-th hit when SLUICE_CRASHPOINT is `name:n`.

    Under SLUICE_CRASHPOINT_ORDERS also at the next hit after the order came; the order is gone then, which proves it.
    """
    if (arrived := _watched.get()) is not None:
        arrived(name)
    if _orders is not None and _taken(Path(_orders) / str(os.getpid()), name):
        os.kill(os.getpid(), signal.SIGKILL)
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    _hits[name] += 1
    if wanted == f"{name}:{_hits[name]}":
        os.kill(os.getpid(), signal.SIGKILL)


def _taken(order: Path, name: str) -> bool:
    try:
        if order.read_text() != name:
            return False
        order.unlink()
    except FileNotFoundError:
        return False
    return True


def crashpoints(roots: Iterable[Path]) -> dict[str, str]:
    """Every name in the source below the roots → file:line. Read from the code, so that none can be forgotten.

    Raises ValueError for a name that is not a literal or stands in two places.
    """
    found: dict[str, str] = {}
    for path in sorted(file for root in roots for file in root.rglob("*.py")):
        for call in _calls(path):
            name, place = _literal(call, path), f"{path}:{call.lineno}"
            if name in found:
                raise ValueError(f"crash point {name} stands at {found[name]} and at {place}")
            found[name] = place
    return found


def _calls(path: Path) -> Iterable[ast.Call]:
    source = path.read_text(encoding="utf-8")
    if "crashpoint(" not in source:
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "crashpoint":
            yield node


def _literal(call: ast.Call, path: Path) -> str:
    name = call.args[0] if call.args else None
    if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
        raise ValueError(f"crash point at {path}:{call.lineno} has no literal name")
    return name.value
