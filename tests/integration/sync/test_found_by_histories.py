"""What random histories found (tests/chaos/histories), each as the shortest case of it."""

from __future__ import annotations

from services.sync.use_cases.picking import choose
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine


async def test_resource_chosen_again_before_it_was_cleared_away_keeps_its_sources(engine: Engine, world: World) -> None:
    world.repo("a", items=2, files=1)
    world.repo("b", items=2, files=1)
    await engine.sync("a", "b")
    whole = await engine.sources()
    for chosen in (["a"], ["a", "b"]):
        await choose(engine.integration, chosen, deps=engine.deps, workspace=engine.workspace)
    await engine.work()
    await engine.clean()
    assert await engine.one("SELECT count(*) FROM source WHERE NOT tombstone") == 6
    assert (await engine.sources()).keys() == whole.keys()
