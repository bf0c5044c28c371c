"""Is the server away, or is it a mistake of ours? Only an absence is worth waiting for; a mistake never ends."""

from __future__ import annotations

import asyncpg

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
# Lost connections; shutting down, crashed, starting; too many clients. A server that answers anything else is there.
AWAY_STATES = ("08", "57P", "53300")


def is_away(error: BaseException) -> bool:
    """The driver's InterfaceError is no sign of it: it also means that a parameter has the wrong type.

    A connection that ended under it asyncpg tells by text alone, and by an error of its own insides where the server's
    last word was not read to its end yet; a connection that did not come free in time is an OSError.
    """
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(AWAY_STATES)
    if isinstance(error, OSError | asyncpg.InternalClientError):
        return True
    return "connection is closed" in str(error) or "connection was closed" in str(error)
