"""docker-compose.yml as compose's own loader reads it, and the image's files as its Dockerfile makes them."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
CACHE = ROOT / ".sluice" / "cache" / "compose"
LOADER = Path(__file__).parent / "compose"


def load(environ: Mapping[str, str], compose: Path = COMPOSE) -> dict[str, Any]:
    """The whole project, interpolated. Raises CalledProcessError with the loader's words in `stderr`."""
    given = {"PATH": os.environ["PATH"], **environ}
    done = subprocess.run([loader(), compose], env=given, capture_output=True, text=True, check=True, timeout=60)
    project: dict[str, Any] = msgspec.json.decode(done.stdout)
    return project


def loader() -> Path:
    """compose-go, built once by its pinned sums."""
    CACHE.mkdir(parents=True, exist_ok=True)
    program = CACHE / "load"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(path.stat().st_mtime for path in LOADER.iterdir())
        if not program.exists() or program.stat().st_mtime < newest:
            command = ["go", "build", "-mod=readonly", "-o", program, "."]
            subprocess.run(command, cwd=LOADER, check=True, capture_output=True, timeout=300)
    return program


def build_context(place: Path) -> Path:
    """What a build of the image is sent: the checkout less what .dockerignore drops."""
    rules = ignore_rules((ROOT / ".dockerignore").read_text())
    for path in checkout_files():
        if not ignored(path, rules):
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, place / path)
    return place


def checkout_files() -> Iterator[str]:
    """Also those that are not committed yet; never what git ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return (path for path in listed if (ROOT / path).is_file())


Rules = list[tuple[bool, re.Pattern[str]]]


def ignore_rules(text: str) -> Rules:
    """(dropped, expression) in order; the last that matches a path or a directory above it decides."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(not line.startswith("!"), re.compile(_expression(line.removeprefix("!")))) for line in lines]


def _expression(pattern: str) -> str:
    parts = [re.escape(part).replace(r"\*", "[^/]*") for part in pattern.removeprefix("**/").split("/")]
    return ("(?:.*/)?" if pattern.startswith("**/") else "") + "/".join(parts) + "(?:/.*)?"


def ignored(path: str, rules: Rules) -> bool:
    dropped = False
    for drops, expression in rules:
        if expression.fullmatch(path):
            dropped = drops
    return dropped


def image_tree(place: Path) -> Path:
    """What the image has in its site-packages: the locked wheels and our own, unpacked and closed to writing."""
    context, wheels, tree = build_context(place / "context"), place / "wheels", place / "tree"
    uv = Path(sys.executable).with_name("uv")
    lock = context / "deploy" / "image" / "requirements.lock"
    _run([uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--out-dir", wheels, context])
    _install(tree, ["--require-hashes", "--only-binary", ":all:", "--requirement", lock])
    _install(tree, [*wheels.glob("sluice-*.whl")])
    for path in (*tree.rglob("*"), tree):
        path.chmod(path.stat().st_mode & ~0o222)
    return tree


def _install(tree: Path, what: list[str | Path]) -> None:
    uv = Path(sys.executable).with_name("uv")
    _run([uv, "pip", "install", "--quiet", "--no-deps", "--link-mode", "copy", "--target", tree, *what])


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stderr}")


def remove_tree(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(tree)
