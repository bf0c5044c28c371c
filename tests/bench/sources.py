"""Real source files to measure with: installed Python, TypeScript of npm packages, Go modules; pinned, none of it ours.

What is downloaded lies under .sluice/cache: npm by its lock's hashes, Go modules by the sums in go.sum.
"""

import json
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from tests.support.npm import installed

ROOT = Path(__file__).parents[2]
PROJECTS = Path(__file__).parent / "corpora"
GO_CACHE = ROOT / ".sluice" / "cache" / "go"
INSTALLED = Path(sysconfig.get_paths()["purelib"])
_ENOUGH = 1_500_000
_SMALLEST, _LARGEST = 1_500, 120_000

Text = tuple[str, str]


def own_and_installed(suffix: str) -> list[Text]:
    """Path and text: this checkout's own files first, then what is installed beside the interpreter."""
    return list(_enough((ROOT, INSTALLED), suffix))


def python() -> list[Text]:
    return list(_enough((INSTALLED,), ".py"))


def typescript() -> list[Text]:
    return list(_enough((installed(PROJECTS / "typescript") / "node_modules",), ".ts"))


def go() -> list[Text]:
    return list(_enough(_go_modules(PROJECTS / "go"), ".go"))


def _go_modules(project: Path) -> list[Path]:
    required = json.loads(_go(project, "mod", "edit", "-json"))["Require"]
    wanted = [f"{one['Path']}@{one['Version']}" for one in required]
    told, decoder = _go(project, "mod", "download", "-json", *wanted), json.JSONDecoder()
    modules: list[Path] = []
    while told.strip():
        module, end = decoder.raw_decode(told.lstrip())
        modules.append(Path(module["Dir"]))
        told = told.lstrip()[end:]
    return modules


def _go(project: Path, *words: str) -> str:
    environ = {**os.environ, "GOMODCACHE": str(GO_CACHE), "GOFLAGS": "-modcacherw", "GOSUMDB": "off"}
    return subprocess.run(["go", *words], cwd=project, env=environ, check=True, capture_output=True, text=True).stdout


def _enough(folders: tuple[Path, ...] | list[Path], suffix: str) -> Iterator[Text]:
    """Files of ordinary size until there is enough to measure."""
    total = 0
    for folder in folders:
        for path in _files(folder, suffix):
            if total > _ENOUGH:
                return
            text = path.read_text(encoding="utf-8", errors="replace")
            total += len(text)
            yield path.relative_to(folder).as_posix(), text


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    hidden = {"node_modules", "__pycache__"}
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in hidden)
        kept = (name for name in sorted(names) if name.endswith(suffix) and not name.endswith(".d.ts"))
        paths = (Path(at, name) for name in kept)
        yield from (path for path in paths if _SMALLEST <= path.stat().st_size <= _LARGEST)
