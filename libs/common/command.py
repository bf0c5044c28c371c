"""`python -m services.<name> serve | migrate | openapi`: the same three verbs for every service."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar, get_args

import msgspec
import uvloop
from litestar import Litestar

from libs.common.errors import ConfigurationError
from libs.common.http.openapi import openapi_document
from libs.common.runtime import Only, Service, run_service
from libs.common.settings import CommonSettings, load_settings
from libs.common.telemetry.logging import configure_logging
from libs.common.telemetry.tracing import configure_tracing

S = TypeVar("S", bound=CommonSettings)
# Enough to describe the routes: no address of these is ever used, and no secret of these opens anything.
DESCRIBING = {
    "DATABASE_URL": "postgresql://localhost/none",
    "WORKER_DATABASE_URL": "postgresql://localhost/none",
    "KAFKA_BOOTSTRAP_SERVERS": "localhost:1",
    "REDIS_URL": "redis://localhost:1",
    "SLUICE_KEK": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "SERVICE_SIGNING_KEYS_DIR": ".",
    "AUTH_URL": "http://localhost:1",
    "SYNC_URL": "http://localhost:1",
    "WEBHOOKS_URL": "http://localhost:1",
    "CHUNKER_URL": "http://localhost:1",
}


def describing_settings(settings_type: type[S]) -> S:
    """Settings that open nothing: enough to build a service's routes."""
    return load_settings(settings_type, DESCRIBING)


def run_command(
    name: str,
    settings_type: type[S],
    build: Callable[[S], Service],
    describe: Callable[[S], Litestar],
    arguments: Sequence[str] | None = None,
) -> int:
    """Answers the exit code: 0, or 2 with one line that says which setting to mend."""
    chosen = _parser(name).parse_args(arguments)
    try:
        if chosen.verb == "openapi":
            return _print_openapi(describe(describing_settings(settings_type)))
        settings = load_settings(settings_type)
        configure_logging(name, settings.log_level)
        if chosen.verb == "migrate":
            from libs.common.database.migrate import migrate  # alembic is half of a start, and only this verb needs it

            revision = migrate(name, settings.owner_database_url)
            print(f"{name} is at revision {revision}")  # noqa: T201 - a command's answer
            return 0
        _serve(name, settings, build, chosen.only)
    except ConfigurationError as error:
        print(f"{name} cannot start: {error.detail}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 2
    return 0


def _serve(name: str, settings: S, build: Callable[[S], Service], only: Only | None) -> None:
    configure_tracing(name, settings.otel_traces_file)

    async def main() -> None:
        await run_service(build(settings), only)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def _print_openapi(app: Litestar) -> int:
    document = msgspec.json.format(msgspec.json.encode(openapi_document(app), order="sorted"), indent=2)
    sys.stdout.write(document.decode() + "\n")
    return 0


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m services.{name}")
    verbs = parser.add_subparsers(dest="verb", required=True)
    serve = verbs.add_parser("serve", help="serve until SIGTERM")
    serve.add_argument("--only", choices=get_args(Only), help="one kind of work, so that each scales alone")
    verbs.add_parser("migrate", help="bring the schema to the newest revision, as its owner")
    verbs.add_parser("openapi", help="print the OpenAPI document; needs no database")
    return parser
