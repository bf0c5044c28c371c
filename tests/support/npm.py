"""Packages of npm that a test takes its truth from: installed once for each content of their project, by its lock."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".sluice" / "cache" / "npm"


def installed(project: Path) -> Path:
    """A copy of the project (package.json, its lock and scripts) with its packages beside it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    place = CACHE / f"{project.name}-{_digest(project)}"
    with (CACHE / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "node_modules" / ".package-lock.json").exists():
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(project, place, ignore=shutil.ignore_patterns("node_modules"))
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(CACHE / "downloads")]
            subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=300)
    return place


def run_node(place: Path, script: str, given: str = "") -> str:
    """What the script writes; `given` is its standard input."""
    command = ["node", script]
    done = subprocess.run(command, cwd=place, input=given, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def _digest(project: Path) -> str:
    files = sorted(path for path in project.iterdir() if path.is_file())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()[:12]
