"""Alembic starts here; the kernel runs the migration inside this service's own schema."""

from libs.common.database.migrate import run_env

run_env()
