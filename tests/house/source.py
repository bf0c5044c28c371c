"""The checkout as the house tests read it: parsed modules of our own code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    path: str
    name: str
    text: str
    tree: ast.Module

    def imports(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@lru_cache(maxsize=1)
def modules() -> tuple[Module, ...]:
    """Every module of libs and services; a provider's own tests are tests."""
    paths = (path for room in ("libs", "services") for path in sorted((ROOT / room).rglob("*.py")))
    kept = (path for path in paths if "tests" not in path.relative_to(ROOT).parts)
    return tuple(_read(path) for path in kept)


def _read(path: Path) -> Module:
    relative = path.relative_to(ROOT)
    text = path.read_text()
    name = ".".join(relative.with_suffix("").parts)
    return Module(path=str(relative), name=name, text=text, tree=ast.parse(text))
