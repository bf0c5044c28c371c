"""Environments of the tools that are measured: exact versions by hash, under .sluice/cache, never in ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CACHE = ROOT / ".sluice" / "cache" / "bench"


def python_of(name: str) -> Path:
    """The interpreter of the environment that `<name>.txt` describes; made when it is not there or is another's."""
    wanted = (HERE / f"{name}.txt").read_text()
    place = CACHE / name
    done = place / "installed.txt"
    if not done.exists() or done.read_text() != wanted:
        uv = str(Path(sys.executable).parent / "uv")
        python = str(place / "bin" / "python")
        _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place))
        _run(uv, "pip", "sync", "--quiet", "--compile-bytecode", "--require-hashes", "--python", python, f"{name}.txt")
        done.write_text(wanted)
    return place / "bin" / "python"


def version_of(python: Path, package: str) -> str:
    said = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([str(python), "-c", said], capture_output=True, text=True, check=True).stdout.strip()


def _run(*argv: str) -> None:
    subprocess.run(argv, cwd=HERE, check=True)
