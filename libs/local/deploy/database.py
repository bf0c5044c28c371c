"""Roles and schemas of a real PostgreSQL, by the same statements as the embedded one."""

from __future__ import annotations

from collections.abc import Mapping

from libs.common.errors import ConfigurationError
from libs.local.postgres import prepare_database
from libs.local.roles import role_names
from libs.local.state import SERVICES

ADMIN_URL = "ADMIN_DATABASE_URL"


async def make_database(environ: Mapping[str, str]) -> None:
    """Harmless when repeated; a changed password is a changed password. Raises ConfigurationError naming a variable."""
    await prepare_database(_given(environ, ADMIN_URL), role_passwords(environ))


def role_passwords(environ: Mapping[str, str]) -> dict[str, str]:
    """A serving process holds two of its three roles, so these two share a password and the owner has its own."""
    found: dict[str, str] = {}
    for service in SERVICES:
        owner, app, worker = role_names(service)
        found[owner] = _given(environ, f"{service.upper()}_OWNER_PASSWORD")
        found[app] = found[worker] = _given(environ, f"{service.upper()}_DATABASE_PASSWORD")
    return found


def _given(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise ConfigurationError(f"{name} is not set")
    return environ[name]
