"""`python -m services.auth serve [--only http|consumers|workers] | migrate | openapi`."""

from __future__ import annotations

import argparse
import asyncio
import sys

import msgspec

from libs.common.database.migrate import migrate
from libs.common.errors import ConfigurationError
from libs.common.runtime import Only, run_service
from libs.common.settings import load_settings
from libs.common.telemetry.logging import configure_logging
from libs.common.telemetry.tracing import configure_tracing
from services.auth.app import NAME, build
from services.auth.settings import AuthSettings, document_settings


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.auth")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the service")
    serve.add_argument("--only", choices=("http", "consumers", "workers"))
    commands.add_parser("migrate", help="bring the schema to the newest revision")
    commands.add_parser("openapi", help="print the OpenAPI document")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen.command, getattr(chosen, "only", None))
    except ConfigurationError as error:
        sys.stderr.write(f"auth does not start: {error.detail}\n")
        return 2


def _run(command: str, only: Only | None) -> int:
    if command == "openapi":
        sys.stdout.write(openapi())
        return 0
    settings = load_settings(AuthSettings)
    configure_logging(NAME, settings.log_level)
    if command == "migrate":
        sys.stdout.write(f"auth is at {migrate(NAME, settings.owner_database_url)}\n")
        return 0
    configure_tracing(NAME, settings.otel_traces_file)
    asyncio.run(_serve(settings, only))
    return 0


async def _serve(settings: AuthSettings, only: Only | None) -> None:
    await run_service(build(settings), only)


def openapi() -> str:
    """The document of the HTTP surface; needs no database and no setting."""
    app = build(document_settings(), environ={}).http
    if app is None:
        raise ConfigurationError("auth has no HTTP application")
    document = msgspec.json.encode(app.openapi_schema.to_schema(), order="sorted")
    return msgspec.json.format(document, indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
