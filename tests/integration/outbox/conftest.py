"""Fixtures of a service's database and of a bus whose topics are empty."""

from tests.integration.bus.fixtures import bus, db, name, quiet
from tests.support.figures import long_run

__all__ = ["bus", "db", "name", "quiet"]

# Minutes of kills: `make chaos` alone.
collect_ignore = [] if long_run() else ["test_long_run.py"]
