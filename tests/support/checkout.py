"""A copy of the working files: a whole stack can run in it, and the sandbox plays it, without touching the checkout."""

import shutil
import subprocess
from pathlib import Path

from libs.local.demo.searches import EXPECTED

CHECKOUT = Path(__file__).resolve().parents[2]


def copy_working_files(target: Path) -> None:
    """What a commit of everything here would hold, without the tests: a third of the files, which no service needs."""
    for name in filter(_is_needed, _listed()):
        source = CHECKOUT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)
    (target / ".gitignore").write_text((CHECKOUT / ".gitignore").read_text())


def _listed() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True).stdout.decode().split("\0")


def _is_needed(name: str) -> bool:
    return bool(name) and ("tests" not in Path(name).parts or name == str(EXPECTED))
