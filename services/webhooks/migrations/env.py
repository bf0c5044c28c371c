"""Alembic's entry: the kernel knows how a service migrates."""

from __future__ import annotations

from libs.common.database.migrate import run_env

run_env()
