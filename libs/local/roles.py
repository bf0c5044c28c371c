"""The roles and schemas of a cluster: the same SQL prepares the embedded database and a real one."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

from libs.local.state import SERVICES

ADMIN = "postgres"
DATABASE = "sluice"
EXTENSIONS = ("vector", "pg_trgm")
ITERATIONS = 4096


def role_names(service: str) -> tuple[str, str, str]:
    """Owner (migrations only), app (under the workspace policy), worker (queue tables only)."""
    return f"{service}_owner", f"{service}_app", f"{service}_worker"


def all_roles() -> list[str]:
    return [role for service in SERVICES for role in role_names(service)]


def create_database() -> str:
    """Not idempotent, PostgreSQL offers no IF NOT EXISTS here: ask pg_database first."""
    return f"CREATE DATABASE {DATABASE}"


def cluster_statements(passwords: Mapping[str, str], services: Sequence[str] = SERVICES) -> list[str]:
    """Everything inside the database, in order, each statement harmless when repeated."""
    database = [
        *(f"CREATE EXTENSION IF NOT EXISTS {name} WITH SCHEMA public" for name in EXTENSIONS),
        f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    ]
    roles = [line for service in services for line in role_statements(service, passwords)]
    schemas = [line for service in services for line in schema_statements(service)]
    return database + roles + schemas


def role_statements(service: str, passwords: Mapping[str, str]) -> list[str]:
    return [line for role in role_names(service) for line in _login(role, service, passwords[role])]


def _login(role: str, service: str, password: str) -> list[str]:
    exists = f"SELECT FROM pg_roles WHERE rolname = '{role}'"
    return [
        f"DO $$ BEGIN IF NOT EXISTS ({exists}) THEN CREATE ROLE {role}; END IF; END $$",
        f"ALTER ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION "
        f"PASSWORD '{scram_verifier(password)}'",
        f"ALTER ROLE {role} SET search_path = {service}, public",
        f"GRANT CONNECT, TEMPORARY ON DATABASE {DATABASE} TO {role}",
    ]


def schema_statements(service: str) -> list[str]:
    owner, app, worker = role_names(service)
    defaults = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {service}"
    return [
        f"CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {owner}",
        f"GRANT USAGE ON SCHEMA {service} TO {app}, {worker}",
        f"{defaults} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app}, {worker}",
        f"{defaults} GRANT USAGE, SELECT ON SEQUENCES TO {app}, {worker}",
    ]


def scram_verifier(password: str) -> str:
    """What PostgreSQL stores for a password (RFC 5803), so that no password is ever part of a statement or its log."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    stored = hashlib.sha256(client).digest()
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"
