"""Members of a group that come, go, stand still and die: F04, F05 and F16, each in its CI size and its long one."""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from libs.common.bus.consume import ConsumerComponent, Consumers, create_consumer_component
from libs.common.bus.dead_letters import list_dead_letters, replay
from libs.common.bus.policy import STANDARD
from libs.common.database.engine import Database
from libs.common.events import BY_NAME, IntegrationConnected
from libs.common.testing.eventually import eventually
from libs.local.postgres import Postgres
from tests.integration.bus import rig
from tests.support.figures import Progress, Tell, sized

CONSUMER = "tests.integration.bus.consumer_process"
KEYS = 30
PARTITIONS = BY_NAME[rig.TOPIC].partitions


def member(db: Database, bus: rig.Bus, group: str, workspace: str = rig.WORKSPACE) -> ConsumerComponent:
    consumers = Consumers(group)

    @consumers.consume(IntegrationConnected)
    async def on_connected(event: IntegrationConnected, deps: Database) -> None:
        await rig.see(event, deps, workspace)

    return create_consumer_component(consumers, db, db, bus)


async def send(bus: rig.Bus, first: int, rounds: int) -> None:
    """Every key gets `rounds` versions, from `first` on."""
    async with rig.producer_to(bus) as producer:
        for version in range(first, first + rounds):
            for number in range(KEYS):
                event = rig.connected(f"key-{number}", version)
                body = msgspec.json.encode(event)
                await producer.send(rig.TOPIC, body, key=event.key.encode(), headers=rig.headers())
        await producer.flush()


async def pairs_seen(db: Database, workspace: str = rig.WORKSPACE) -> int:
    async with db.transaction(workspace) as tx:
        return int(await tx.fetch_value("SELECT count(*) FROM seen"))


async def all_seen(db: Database, number: int, seconds: float, workspace: str = rig.WORKSPACE) -> None:
    async def seen() -> None:
        assert await pairs_seen(db, workspace) == number

    await eventually(seen, timeout=seconds)


# F05


GROUPS = 5
STOPS = sized(2, 40)  # in each group
STOP_EVERY = 10


@pytest.mark.timeout(sized(240, 3600))
async def test_members_stopped_in_mid_transaction_overwrite_nothing_when_they_wake(
    postgres: Postgres, name: str, db: Database, bus: rig.Bus, figure: Tell, progress: Progress
) -> None:
    groups = [f"room-zombie-{number}" for number in range(GROUPS)]
    sending = Sending(db, bus, progress)
    async with AsyncExitStack() as started:
        for group in groups:
            survivor = member(db, bus, group, workspace=group)
            await started.enter_async_context(rig.running(survivor))
            more = {"GROUP": group, "WORKSPACE": group, "STOP_EVERY": str(STOP_EVERY)}
            zombie = await started.enter_async_context(rig.process(CONSUMER, postgres, name, bus, **more))
            sending.pairs.append((group, survivor, zombie))
        await asyncio.gather(*(sending.stop_and_wake(*pair) for pair in sending.pairs))
        for _, _, zombie in sending.pairs:
            zombie.kill()
        await asyncio.gather(*(all_seen(db, KEYS * sending.version, sized(60, 300), group) for group in groups))
    sent = KEYS * sending.version * GROUPS
    lost = sent - sum([await pairs_seen(db, group) for group in groups])
    stale = sum([await rig.regressions(db, group) for group in groups])
    figure("F05_lost", lost, "lost", sent)
    figure("F05", stale, "stale_overwrites", STOPS * GROUPS)
    assert (lost, stale) == (0, 0)
    for group in groups:
        assert await rig.newest(db, group) == {f"key-{number}": sending.version for number in range(KEYS)}


class Sending:
    """For as long as a member is waited for, a new version of every key goes out when its group has seen the last."""

    def __init__(self, db: Database, bus: rig.Bus, progress: Progress) -> None:
        self.pairs: list[tuple[str, ConsumerComponent, Process]] = []
        self.version = self.woken = 0
        self._db, self._bus, self._progress = db, bus, progress

    async def stop_and_wake(self, group: str, survivor: ConsumerComponent, zombie: Process) -> None:
        """Past its session: the other member has taken all of its partitions before it wakes."""
        for _ in range(STOPS):
            await eventually(lambda: self._stopped(group, zombie), timeout=90, interval=0.5)
            await eventually(lambda: len(survivor.assigned) == PARTITIONS, timeout=60)
            zombie.send_signal(signal.SIGCONT)
            self.woken += 1
            self._progress(self.woken, STOPS * GROUPS, versions=self.version)

    async def _stopped(self, group: str, zombie: Process) -> bool:
        if _is_stopped(zombie):
            return True
        if await pairs_seen(self._db, group) >= KEYS * self.version:
            self.version += 1
            await send(self._bus, self.version, 1)
        return False


def _is_stopped(process: Process) -> bool:
    """State T of proc_pid_stat(5)."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


# F04


ROUNDS = sized(40, 1700)  # × 30 keys
CHANGES = sized(4, 60)


@pytest.mark.timeout(sized(120, 3600))
async def test_members_that_come_and_go_lose_and_reorder_nothing(
    postgres: Postgres, name: str, db: Database, bus: rig.Bus, tmp_path: Path, figure: Tell, progress: Progress
) -> None:
    each = ROUNDS // CHANGES
    async with rig.running(member(db, bus, "room-churn")), AsyncExitStack() as started:
        await started.enter_async_context(_leaving(postgres, name, bus, tmp_path / "second"))
        for change in range(CHANGES):
            await send(bus, 1 + change * each, each // 2)
            async with _leaving(postgres, name, bus, tmp_path / f"third-{change}"):
                await send(bus, 1 + change * each + each // 2, each - each // 2)
            progress(change + 1, CHANGES, seen=await pairs_seen(db))
        await all_seen(db, KEYS * each * CHANGES, 30)  # lag 0 within 30 s of the end
    total = KEYS * each * CHANGES
    figure("F04", total - await pairs_seen(db), "lost", total)
    figure("F04_regressions", await rig.regressions(db), "regressions", total)
    assert await rig.regressions(db) == 0


@asynccontextmanager
async def _leaving(postgres: Postgres, name: str, bus: rig.Bus, joined: Path) -> AsyncIterator[None]:
    """A member from its first partition on, which says goodbye at the end, as a replica does that is rolled."""
    more = {"GROUP": "room-churn", "JOINED": str(joined)}
    async with rig.process(CONSUMER, postgres, name, bus, **more) as child:
        await eventually(joined.exists, timeout=60)
        yield
        child.send_signal(signal.SIGTERM)
        _, said = await asyncio.wait_for(child.communicate(), 30)
        assert child.returncode == 0, said.decode()[-2000:]


# F16


MESSAGES = 5_000
POISON = ("key-3:20", "key-7:60", "key-11:100", "key-19:140", "key-29:160")  # one in a thousand
DEADLY = "key-15:80"  # one in five thousand
STALL_S = 30.0


@pytest.mark.timeout(120)
async def test_poison_among_five_thousand_is_parked_after_five_tries_and_a_killed_member_costs_nothing(
    postgres: Postgres, name: str, db: Database, bus: rig.Bus, figure: Tell
) -> None:
    rounds = -(-MESSAGES // KEYS)
    group = "room-poison"
    repaired = False
    consumers = Consumers(group)
    fails: dict[str, list[float]] = {}

    @consumers.consume(IntegrationConnected)
    async def on_connected(event: IntegrationConnected, deps: Database) -> None:
        place = f"{event.integration_id}:{event.version}"
        if place in POISON and not repaired:
            fails.setdefault(place, []).append(asyncio.get_running_loop().time())
            raise KeyError("a bug of ours")
        await rig.see(event, deps)

    await send(bus, 1, rounds)
    more = {"GROUP": group, "POISON": " ".join(POISON), "DEADLY": DEADLY}
    async with rig.process(CONSUMER, postgres, name, bus, **more) as child:
        _, said = await asyncio.wait_for(child.communicate(), 60)
        assert child.returncode == -signal.SIGKILL, said.decode()[-2000:]
    async with rig.running(create_consumer_component(consumers, db, db, bus)):
        await all_seen(db, KEYS * rounds - len(POISON), 90)

        async def parked() -> None:
            assert len(await list_dead_letters(db)) == len(POISON)

        await eventually(parked, timeout=60)
    letters = await list_dead_letters(db)
    longest = max((times[-1] - times[0] for times in fails.values()), default=0.0)
    figure("F16", KEYS * rounds - await pairs_seen(db) - len(letters), "lost", KEYS * rounds)
    figure("F16_longest_stall", round(longest, 1), "s", STALL_S)
    assert {letter.attempts for letter in letters} == {STANDARD.tries}
    assert longest <= STALL_S
    assert await rig.regressions(db) == 0

    repaired = True
    replayed = await replay(db, [letter.id for letter in letters], consumers, db)
    assert len(replayed.done) == len(POISON)
    assert await list_dead_letters(db) == []
    assert await pairs_seen(db) == KEYS * rounds
