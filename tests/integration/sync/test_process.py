"""A process that is killed between two steps: SIGKILL, nothing tidied up."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from libs.common.testing.eventually import eventually
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine


@pytest.mark.parametrize("point", ["sync.page_pulled", "sync.page_committed"])
async def test_process_killed_at_a_step_is_followed_from_its_last_page(
    engine: Engine, world: World, point: str
) -> None:
    world.repo("r1", items=100)
    await engine.connect(features=("issues",))
    await engine.discover()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.sync.child",
        env={"SLUICE_CRASHPOINT": f"{point}:2", **engine.environment()}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, told = await asyncio.wait_for(child.communicate(), 40)
    assert child.returncode == -signal.SIGKILL, told.decode()
    before = len(await engine.sources())
    assert before in range(10, 100, 10)

    async def finished() -> bool:
        await engine.work()
        return bool((await engine.run())["state"] == "succeeded")

    await eventually(finished, timeout=30)
    assert len(await engine.sources()) == 100
    assert len(await engine.events()) == 100
    assert min(path for path, _ in world.log if "items?" in path).endswith(f"page={before // 10}")
    assert (await engine.one("SELECT created FROM run_resource")) == 100
