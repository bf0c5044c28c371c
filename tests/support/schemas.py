"""A service's schema as its own migrations build it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from libs.local.postgres import Postgres


def migrate_schemas(postgres: Postgres, *services: str) -> Postgres:
    """In a thread, because a migration runs a loop of its own and a fixture's caller may already run one."""
    from libs.common.database.migrate import migrate  # loads alembic and SQLAlchemy, which nothing else here needs

    with ThreadPoolExecutor(1) as thread:
        for service in services:
            thread.submit(migrate, service, postgres.dsn(f"{service}_owner")).result()
    return postgres
