"""Alembic per service, run by the owner role; the version table lives inside the service's own schema."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from libs.common.errors import ConfigurationError


def migrate(service: str, owner_url: str) -> str:
    """Brings the schema to the newest revision and answers its name. Safe to run by several replicas at once."""
    if not owner_url:
        raise ConfigurationError("OWNER_DATABASE_URL is not set: migrations run as the schema's owner")
    config = _config(service)

    def upgrade(connection: Connection) -> None:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"migrate:{service}"})
        config.attributes["connection"] = connection
        config.attributes["service"] = service
        command.upgrade(config, "head")

    asyncio.run(_as_owner(service, owner_url, upgrade))
    return newest_revision(service)


def newest_revision(service: str) -> str:
    return ScriptDirectory.from_config(_config(service)).get_current_head() or ""


def run_env() -> None:
    """What each service's migrations/env.py calls."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        version_table="alembic_version",
        version_table_schema=attributes["service"],
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _config(service: str) -> Config:
    config = Config()
    root = Path(__file__).resolve().parents[3]
    config.set_main_option("script_location", str(root / "services" / service / "migrations"))
    return config


async def _as_owner(service: str, owner_url: str, upgrade: object) -> None:
    engine = create_async_engine(
        owner_url.replace("postgresql://", "postgresql+asyncpg://", 1),
        connect_args={"server_settings": {"search_path": f"{service},public", "lock_timeout": "5s"}},
        hide_parameters=True,
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(upgrade)  # type: ignore[arg-type]
    finally:
        await engine.dispose()
