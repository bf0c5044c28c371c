"""`python -m libs.local.deploy write | check | env | keys <directory> | database`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from libs.common.errors import ConfigurationError
from libs.local.deploy.database import make_database
from libs.local.deploy.fill import make_env
from libs.local.deploy.keys import make_keys
from libs.local.deploy.pages import EXAMPLE, OPERATING, example, operating
from libs.local.deploy.settings import settings
from libs.local.gateway import caddyfile, document_routes, load_routes
from libs.local.routes import CHECKOUT, TABLE, Undescribed, stale, write

GATEWAY = Path("deploy/gateway/Caddyfile")


def main() -> int:
    chosen = _parser().parse_args()
    try:
        return int(chosen.act(chosen) or 0)
    except (ConfigurationError, Undescribed, FileExistsError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _files() -> dict[Path, str]:
    """Everything of a deployment that is made of something else."""
    found = settings()
    routes = [*document_routes(), *load_routes(CHECKOUT / TABLE)]
    return {
        EXAMPLE: example(found),
        OPERATING: operating((CHECKOUT / OPERATING).read_text(), found),
        GATEWAY: caddyfile(routes),
    }


def _write(_: argparse.Namespace) -> None:
    write(_files())


def _check(_: argparse.Namespace) -> int:
    old = stale(_files())
    sys.stderr.writelines(
        f"{path} is not what its source says: run `python -m libs.local.deploy write`\n" for path in old
    )
    return 1 if old else 0


def _env(_: argparse.Namespace) -> None:
    key = make_env(CHECKOUT)
    sys.stdout.write(f"wrote .env\nThe first API key, shown this once (.env keeps its digest):\n{key}\n")


def _keys(chosen: argparse.Namespace) -> None:
    make_keys(chosen.directory)


def _database(_: argparse.Namespace) -> None:
    asyncio.run(make_database(os.environ))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m libs.local.deploy", description=__doc__)
    verbs = parser.add_subparsers(required=True)
    verbs.add_parser("write", help="make the generated files anew").set_defaults(act=_write)
    verbs.add_parser("check", help="say which of them are stale").set_defaults(act=_check)
    verbs.add_parser("env", help="make .env from .env.example, with fresh secrets").set_defaults(act=_env)
    verbs.add_parser("database", help="make roles and schemas (ADMIN_DATABASE_URL)").set_defaults(act=_database)
    keys = verbs.add_parser("keys", help="make the services' signing keys")
    keys.add_argument("directory", type=Path)
    keys.set_defaults(act=_keys)
    return parser


if __name__ == "__main__":
    sys.exit(main())
