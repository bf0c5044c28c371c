"""Alembic's entry: the kernel runs the migrations."""

from libs.common.database.migrate import run_env

run_env()
