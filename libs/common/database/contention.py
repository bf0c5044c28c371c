"""Two transactions that waited for each other, or for too long: nothing was written, and the same again will do."""

from __future__ import annotations

import asyncpg

# Deadlock, serialization failure, lock not available in time (PostgreSQL, appendix A).
CONTENDED_STATES = ("40P01", "40001", "55P03")


def is_contended(error: BaseException) -> bool:
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in CONTENDED_STATES
