"""What consumers and controllers of the chunker receive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from libs.common.database.engine import Database


@dataclass(frozen=True)
class Deps:
    db: Database
    index_wanted: Callable[[], None]
