"""`python -m services.<name> serve | migrate | openapi | settings`: the same four verbs for every service."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TypeVar

import msgspec

from libs.common.errors import ConfigurationError
from libs.common.settings import CommonSettings, load_settings, settings_schema
from libs.common.telemetry.logging import configure_logging

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
}
# A page of a provider is some ten thousand objects, few of them in cycles: with Python's 700 it was looked through a
# dozen times while it lived.
COLLECT = (10_000, 20, 20)
# The edges load in threads beside the workers, and a worker waits so long for its turn each time that an answer came.
SWITCH_SECONDS = 0.0005


def describing_settings(settings_type: type[S]) -> S:
    """Settings that open nothing: enough to build a service's routes."""
    return load_settings(settings_type, DESCRIBING)


def run_command(name: str, settings_type: type[S], app: str, arguments: Sequence[str] | None = None) -> int:
    """Answers the exit code: 0, or 2 with one line that says which setting to mend.

    `app` is the module with `build(settings)` and `describe(settings)`. It is imported by the verbs that need it:
    a migration is one of two starts of every service, and needs neither the HTTP side nor the bus.
    """
    chosen = _parser(name).parse_args(arguments)
    try:
        if chosen.verb == "openapi":
            return _print_openapi(settings_type, app)
        if chosen.verb == "settings":
            return _print_settings(settings_type)
        settings = load_settings(settings_type)
        configure_logging(name, settings.log_level)
        if chosen.verb == "migrate":
            return _migrate(name, settings)
        return _serve(name, settings, app, chosen.only)
    except ConfigurationError as error:
        print(f"{name} cannot start: {error.detail}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 2


def _migrate(name: str, settings: CommonSettings) -> int:
    from libs.common.database.migrate import migrate

    print(f"{name} is at revision {migrate(name, settings.owner_database_url)}")  # noqa: T201 - a command's answer
    return 0


def _serve(name: str, settings: CommonSettings, app: str, only: str | None) -> int:
    gc.disable()  # what is loaded now stays: looking through it is a tenth of the start, and of each later collection
    from libs.common.serving import serve

    build = import_module(app).build
    gc.freeze()
    gc.set_threshold(*COLLECT)
    gc.enable()
    sys.setswitchinterval(SWITCH_SECONDS)
    serve(name, settings, build, only)
    return 0


def _print_openapi(settings_type: type[S], app: str) -> int:
    from libs.common.serving import openapi_text

    sys.stdout.write(openapi_text(import_module(app).describe(describing_settings(settings_type))))
    return 0


def _print_settings(settings_type: type[S]) -> int:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(settings_schema(settings_type))).decode() + "\n")
    return 0


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m services.{name}")
    verbs = parser.add_subparsers(dest="verb", required=True)
    serve = verbs.add_parser("serve", help="serve until SIGTERM")
    kinds = ("http", "consumers", "workers")
    serve.add_argument("--only", choices=kinds, help="one kind of work, so that each scales alone")
    verbs.add_parser("migrate", help="bring the schema to the newest revision, as its owner")
    verbs.add_parser("openapi", help="print the OpenAPI document; needs no database")
    verbs.add_parser("settings", help="print the JSON Schema of what it reads from the environment")
    return parser
