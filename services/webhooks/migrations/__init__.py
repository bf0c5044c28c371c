"""Alembic's room: the version table lives inside this service's schema."""
