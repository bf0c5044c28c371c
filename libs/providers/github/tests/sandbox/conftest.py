"""A small checkout, and the world that the played GitHub makes of it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.providers.github.sandbox import STAND_IN
from libs.providers.github.tests.sandbox.driven import Driven, driving, git
from libs.sandbox.app import Sandbox


@pytest.fixture(scope="session")
def played_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small repository with a rename, a removal, bytes that are no text, a link and a folder in it."""
    root = tmp_path_factory.mktemp("played_checkout")
    git(root, "init", "-q")
    (root / "docs").mkdir()
    (root / "README.md").write_text(
        "# House\n\nWhat it is.\n\n## Rooms\n\nA kitchen.\n\n## Garden\n\nBeans grow here.\n"
    )
    (root / "docs" / "long.md").write_text("".join(f"line {n}\n" for n in range(40)))
    (root / "app.py").write_text('"""Opens the door."""\n\nDOOR = 1\n')
    (root / "old.txt").write_text("gone soon\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Lay the ground\n\nWith a body.")
    git(root, "mv", "docs/long.md", "docs/moved.md")
    git(root, "rm", "-q", "old.txt")
    (root / "logo.bin").write_bytes(bytes(range(256)) * 4)
    (root / "link").symlink_to("README.md")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Move things about")
    (root / "app.py").write_text('"""Opens the door."""\n\nDOOR = 2\nKEY = 3\n')
    git(root, "commit", "-qam", "Change the lock")
    return root


@pytest.fixture(scope="session")
def played_world(played_checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state that a first start makes, once; tests work on copies."""
    state = tmp_path_factory.mktemp("world")
    _close(Sandbox(played_checkout, state, {"github": STAND_IN}))
    return state


def _close(sandbox: Sandbox) -> None:
    for mount in sandbox.mounts.values():
        mount.log.close()
        mount.stand_in.close()


@pytest.fixture
async def hub(played_checkout: Path, played_world: Path, tmp_path: Path) -> AsyncIterator[Driven]:
    shutil.copytree(played_world, tmp_path / "state", dirs_exist_ok=True)
    async with driving(played_checkout, tmp_path / "state") as driven:
        yield driven
