"""A played GitHub of this test's own, and the copy that a sync facet makes of it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.providers.github.tests.played import Played, open_sandbox


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny checkout and the world the sandbox makes of it, once; tests work on copies of the world."""
    root = tmp_path_factory.mktemp("tree")
    (root / "docs").mkdir()
    (root / "README.md").write_text("# House\n\nWhat it is.\n\n## Rooms\n\nA kitchen.\n")
    (root / "docs" / "guide.md").write_text("# Guide\n\nHow to get in.\n")
    (root / "app.py").write_text('"""Opens the door."""\n\nDOOR = 1\n')
    (root / "logo.bin").write_bytes(bytes(range(256)))
    state = tmp_path_factory.mktemp("world")
    sandbox = open_sandbox(root, state)
    for mount in sandbox.mounts.values():
        mount.log.close()
        mount.stand_in.close()
    return root, state


@pytest.fixture
async def played(prepared: tuple[Path, Path], tmp_path: Path) -> AsyncIterator[Played]:
    root, state = prepared
    shutil.copytree(state, tmp_path / "world")
    sandbox = open_sandbox(root, tmp_path / "world")
    played = Played(sandbox)
    await played.copy.select()
    yield played
    await played.copy.wire.client.aclose()
    await sandbox.close()
