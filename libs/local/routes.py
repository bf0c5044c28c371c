"""Writes the four OpenAPI documents and the front door's table out of the services' own words, or checks both.

`python -m libs.local.routes [--check]`
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from libs.local.gateway import Route
from libs.local.state import SERVICES

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = Path("docs/api")
TABLE = Path("deploy/gateway/routes.json")
# Answered by every service for its own supervisor, or for other services: never through the door.
PRIVATE = ("/internal", "/schema", "/healthz", "/readyz", "/metrics")

Document = dict[str, Any]


class Undescribed(Exception):
    """A service could not print its document; the message is its own."""


def told_by(service: str, verb: str) -> str:
    """What `python -m services.<name> openapi` or `settings` prints; it needs no database and no setting."""
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", f"services.{service}", verb]
    answer = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if answer.returncode:
        raise Undescribed(f"{service} does not describe itself:\n{answer.stderr.strip()}")
    return answer.stdout.strip() + "\n"


def told_by_all(verb: str) -> dict[str, str]:
    with ThreadPoolExecutor() as pool:
        return dict(zip(SERVICES, pool.map(partial(told_by, verb=verb), SERVICES), strict=True))


def documents() -> dict[str, str]:
    return told_by_all("openapi")


def table_of(found: Mapping[str, Document]) -> list[Route]:
    """One row a path, in the order of the paths; two services with one path are a mistake."""
    rows = [Route(pattern=path, service=name) for name, document in found.items() for path in public_paths(document)]
    owners: dict[str, str] = {}
    for row in rows:
        if owners.setdefault(row.pattern, row.service) != row.service:
            raise Undescribed(f"{row.pattern} has two owners: {owners[row.pattern]} and {row.service}")
    return sorted(rows, key=lambda row: row.pattern)


def public_paths(document: Document) -> list[str]:
    return [path for path in document.get("paths", {}) if not path.startswith(PRIVATE)]


def generated(printed: Mapping[str, str]) -> dict[Path, str]:
    """Every generated file and what it should hold, from what the services print."""
    decoded = {name: msgspec.json.decode(text, type=Document) for name, text in printed.items()}
    rows = [f'  {{"pattern": "{row.pattern}", "service": "{row.service}"}}' for row in table_of(decoded)]
    files = {DOCUMENTS / f"{name}.json": text for name, text in printed.items()}
    return {**files, TABLE: "[\n" + ",\n".join(rows) + "\n]\n"}


def stale(files: Mapping[Path, str], root: Path = CHECKOUT) -> list[str]:
    """The paths that differ from what the services say now."""
    return [
        str(path) for path, text in files.items() if not (root / path).exists() or (root / path).read_text() != text
    ]


def write(files: Mapping[Path, str], root: Path = CHECKOUT) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m libs.local.routes", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is not up to date")
    check = parser.parse_args().check
    try:
        files = generated(documents())
    except Undescribed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    old = stale(files)
    if check:
        sys.stderr.writelines(
            f"{path} is not what the services say: run `python -m libs.local.routes`\n" for path in old
        )
        return 1 if old else 0
    write(files)
    sys.stdout.writelines(f"wrote {path}\n" for path in old)
    return 0


if __name__ == "__main__":
    sys.exit(main())
