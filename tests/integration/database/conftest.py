"""Fixtures of a service's database and of a bus whose topics are empty."""

from tests.integration.bus.fixtures import bus, db, name, quiet

__all__ = ["bus", "db", "name", "quiet"]
