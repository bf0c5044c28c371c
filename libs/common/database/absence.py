"""Is the server away, or is it a mistake of ours? Only an absence is worth waiting for; a mistake never ends."""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Lost connections; shutting down, crashed, starting; too many clients. A server that answers anything else is there.
AWAY_STATES = ("08", "57P", "53300")


def is_away(error: BaseException) -> bool:
    """The driver's InterfaceError is no sign of it: it also means that a parameter has the wrong type."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _state(error.orig).startswith(AWAY_STATES) or _closed(error.orig)
    if isinstance(error, asyncpg.PostgresError):
        return _state(error).startswith(AWAY_STATES)
    return isinstance(error, PoolTimeout | OSError) or _closed(error)


def _state(error: BaseException | None) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _closed(error: BaseException | None) -> bool:
    """asyncpg tells a connection that ended under it by text alone."""
    return "connection is closed" in str(error) or "connection was closed" in str(error)
