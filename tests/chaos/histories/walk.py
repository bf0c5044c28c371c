"""One history on the way: a play, the engine that copies it, and everything that may happen to either."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import Any

from libs.common.errors import SluiceError
from libs.common.provider.http import GrantedHttp
from libs.common.provider.manifest import Manifest
from libs.common.provider.sync import SyncFacet
from libs.common.provider.webhooks import RawWebhook
from libs.common.testing.crashpoints import ProcessDied, watching
from libs.common.testing.plays import NotPossible, Play
from libs.providers import registry
from services.sync.deps import Deps
from services.sync.domain.features import wanted_types
from services.sync.use_cases.asking import sync_integration
from services.sync.use_cases.deletions import decide
from services.sync.use_cases.picking import choose
from services.sync.workers.dirty import DirtyLane
from services.sync.workers.discovery import Discovery
from services.sync.workers.executor import Executor
from services.sync.workers.housekeeping import Cleanup
from tests.chaos.harness.checkers import Place
from tests.chaos.harness.history import History, Step
from tests.chaos.harness.life import Life, MortalDatabase
from tests.chaos.harness.wire import FAULTS, BreakableWire
from tests.chaos.histories.lane import Lane
from tests.chaos.histories.watch import Watch
from tests.integration.sync.double import World
from tests.integration.sync.engine import Broker, Engine

MOST_ROUNDS = 40
# Leases end, limits are over, retries are due: what a clock does, without waiting for it.
TIME_PASSES = "; ".join(
    f"UPDATE {table} SET run_at = least(run_at, now()), lease_until = '-infinity'"
    + (" WHERE kind <> 'expired'" if table == "cleanup" else "")
    for table in ("work", "dirty_object", "discovery", "cleanup")
)
LANES = {"discovery": Discovery, "work": Executor, "dirty_object": DirtyLane, "cleanup": Cleanup}
DUE = " UNION ALL ".join(
    f"(SELECT '{table}' AS lane FROM {table} WHERE run_at <= now() AND lease_until <= now()"
    f"{'' if table == 'cleanup' else ' AND NOT paused'} LIMIT 1)"
    for table in LANES
)
HELD = "SELECT id FROM held_deletion WHERE state = 'held'"
WAITING = """
SELECT (SELECT count(*) FROM work) + (SELECT count(*) FROM dirty_object) + (SELECT count(*) FROM discovery)
  + (SELECT count(*) FROM cleanup WHERE kind <> 'expired')
"""


class Walk(Engine):
    def __init__(self, lane: Lane, play: Play, history: History) -> None:
        self.provider, self.play, self.history, self._pools = history.provider, play, history, lane.pools
        self.life, self.pending = Life(), list[RawWebhook]()
        self.wire = BreakableWire(play.wire, lambda: self.life)
        self.features, self.selected, self.paused = play.features[0], set[str](), False
        self.deaths: dict[str, int] = {}
        broker = Broker()
        broker.token = play.token
        super().__init__(lane.settings, World(), broker, lane.admin)
        self.watch = Watch(lane.admin, self.integration, self.belongs)

    # the parts that Engine asks for

    def replica(self, settings: Any = None) -> Deps:
        return replace(super().replica(settings), db=MortalDatabase(self._pools, self.life))

    def facet(self) -> tuple[SyncFacet, Manifest]:
        return registry.facet(self.provider, "sync"), registry.manifest(self.provider)

    def open_http(self, provider: str, token: str, validators: dict[str, str]) -> GrantedHttp:
        urls = {"api_url": self.play.api_url, "base_url": self.play.base_url}
        return GrantedHttp(self.wire, **urls, token=token, validators=validators)

    # what belongs in the copy

    def belongs(self) -> set[Place]:
        return {(resource, key) for resource, key, _ in self.truth()}

    def truth(self) -> list[tuple[str, str, Any]]:
        types = wanted_types(registry.manifest(self.provider), self.features)
        every = self.play.truth()
        return [
            (resource, key, thing)
            for resource in sorted(self.selected & every.keys())
            for key, thing in every[resource].items()
            if thing.type in types
        ]

    # steps

    async def take(self, step: Step) -> None:
        """One step with its trouble; what came of it is noted, and the copy is looked at."""
        self._arm(step)
        dice = Random(step.seed)
        try:
            told = await self._guarded(getattr(self, f"step_{step.name}"), dice)
            outcome = "info" if self.life.dead_at else "ok"
        except (NotPossible, SluiceError) as refused:
            told, outcome = {"why": str(refused)[:200]}, "fail"
        self.history.note(step, outcome, **(told or {}), **({"died": self.life.dead_at} if self.life.dead_at else {}))
        self.wire.heal()
        self._live_on()
        await self.watch.look()

    async def _guarded(self, step: Callable[[Random], Awaitable[Any]], dice: Random) -> Any:
        try:
            with watching(self.life.pass_by):
                return await step(dice)
        except ProcessDied:
            return {}

    def _arm(self, step: Step) -> None:
        trouble = step.trouble
        if trouble is None:
            return
        if trouble.kind in FAULTS:
            self.wire.arm(trouble)
        elif trouble.kind.startswith("meanwhile"):
            self.wire.meanwhile(trouble, lambda: self._meanwhile(trouble.kind, Random(step.seed)))
        else:
            self.life.die_at(trouble.kind.removeprefix("kill "), trouble.at)

    def _live_on(self) -> None:
        """The dead one is followed by a fresh process with nothing in memory."""
        if self.life.dead_at:
            self.deaths[self.life.dead_at] = self.deaths.get(self.life.dead_at, 0) + 1
            self.new_process()
        self.life.live_on()

    def new_process(self) -> None:
        self.life = Life()
        self.deps = self.replica()
        self.executor = Executor(self.deps)

    async def _meanwhile(self, kind: str, dice: Random) -> None:
        """Somebody works at the provider, or another replica on the hints, while a page is being read."""
        for _ in range(dice.randint(1, 3)):
            try:
                await self.step_act(dice)
            except NotPossible:
                continue
        if kind == "meanwhile hints":
            await self.step_deliver(dice)
            other = replace(self.deps, db=self._pools, owner="another replica")
            while await DirtyLane(other).step():
                pass

    async def step_act(self, dice: Random) -> dict[str, Any]:
        name = dice.choices(list(self.play.acts), list(self.play.acts.values()))[0]
        act = self.play.do(name, Random(dice.random()))
        self.pending += act.deliveries
        self.watch.moment()
        return {"act": name, **act.told}

    async def step_deliver(self, dice: Random) -> dict[str, Any]:
        """Some deliveries are lost, some come twice, and never mind the order."""
        pending, self.pending = self.pending, []
        lost = dice.choice([0, 0, 0.3])
        kept = [one for one in pending for _ in range(dice.choice([1, 1, 1, 2])) if dice.random() >= lost]
        if dice.random() < 0.5:
            dice.shuffle(kept)
        await self.deliver(kept)
        return {"delivered": len(kept), "of": len(pending)}

    async def deliver(self, deliveries: list[RawWebhook]) -> None:
        for raw in deliveries:
            for hint in registry.facet(self.provider, "webhooks").parse(raw).hints:
                await self.hint(hint.resource_external_id, hint.stream, *hint.keys, of=hint.type)

    async def step_sync(self, dice: Random, *, full: bool = False) -> dict[str, Any]:
        if self.paused:
            raise NotPossible("paused")
        await sync_integration(self.integration, deps=self.deps, workspace=self.workspace, full=full)
        return await self.step_work(dice)

    async def step_sweep(self, dice: Random) -> dict[str, Any]:
        return await self.step_sync(dice, full=True)

    async def step_poll(self, dice: Random) -> dict[str, Any]:
        """What is planned is due: looks, or, seldom, sweeps."""
        await self.due(dice.choice(["next_poll_at", "next_poll_at", "next_poll_at", "next_sweep_at"]))
        await self.schedule()
        return await self.step_work(dice)

    async def step_work(self, dice: Random) -> dict[str, Any]:
        """Whatever is due, one piece after the other, in any order of the lanes."""
        asked = self.wire.asked
        for _ in range(MOST_ROUNDS):
            due = [row["lane"] for row in await self.admin.fetch(DUE)]
            if not due:
                break
            await LANES[dice.choice(due)](self.deps).step()
        await self.follow_selection()
        return {"requests": self.wire.asked - asked}

    async def step_hints(self, dice: Random) -> dict[str, Any]:
        await self.step_deliver(dice)
        return {"read": await self.dirty()}

    async def step_time(self, dice: Random) -> None:
        await self.admin.execute(TIME_PASSES)

    async def step_pause(self, dice: Random) -> None:
        self.paused = not self.paused
        await self._configure()

    async def step_features(self, dice: Random) -> dict[str, Any]:
        self.features = dice.choice(self.play.features)
        self.watch.moment()
        await self._configure()
        return {"features": self.features}

    async def _configure(self) -> None:
        await self.update(status="paused" if self.paused else "active", **self._given())

    def _given(self) -> dict[str, Any]:
        return {"features": self.features, "config": dict(self.play.config), "polling_enabled": True}

    async def step_choose(self, dice: Random) -> dict[str, Any]:
        """Some of the resources that are known are chosen, the others are not any more."""
        known = sorted(self.play.truth())
        chosen = dice.sample(known, dice.randint(1, len(known)))
        await choose(self.integration, chosen, deps=self.deps, workspace=self.workspace)
        await self.follow_selection()
        return {"chosen": chosen}

    async def step_connect(self, dice: Random) -> None:
        self.version += 1
        self.paused = False
        await self.connect(*self.play.references, **self._given())
        await self.step_work(dice)

    async def follow_selection(self) -> None:
        rows = await self.admin.fetch(
            "SELECT external_id FROM resource WHERE selected AND integration_id = $1", self.integration
        )
        before, self.selected = self.selected, {row["external_id"] for row in rows}
        if self.selected != before:
            self.watch.moment()

    # the end

    async def heal(self, *, blind: bool) -> None:
        """All is well again, but for what stays out of sight when `blind`; then one sync and one sweep."""
        self.wire.heal()
        self.new_process()
        if not blind:
            self.play.heal()
        await self.admin.execute(TIME_PASSES)
        if self.paused:
            await self.step_pause(Random(0))
        await self.come_to_rest()
        if not self.selected:
            await self.step_connect(Random(0))
            await self.come_to_rest()
        assert self.selected or self.play.hidden(), "nothing could be connected"
        for step in (self.step_sync, self.step_sweep):
            await step(Random(0))
            await self.come_to_rest()
        for row in await self.admin.fetch(HELD):
            await decide(row["id"], "applied", deps=self.deps, workspace=self.workspace, by="the test")
        await self.watch.look()

    async def come_to_rest(self) -> None:
        for _ in range(MOST_ROUNDS):
            await self.watch.look()
            await self.step_work(Random(0))
            if not await self.admin.fetchval(WAITING):
                return
            await self.admin.execute(TIME_PASSES)
        raise AssertionError("it never comes to rest")
