"""The budgets that all replicas share: one script in Redis, one round trip a question, and a short patience."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from libs.common.errors import DependencyDown
from libs.common.limits.rules import Answer, Flow, State, Terms, Told

SCRIPT = (Path(__file__).parent / "limits.lua").read_text()
SECONDS = 0.5
LEASE_MS = 40_000  # longer than any one call may take
PREFIX = "{sluice}:limits:"  # one slot of a cluster: the script touches several keys at once


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the state of one account and its host lies; both names are fingerprints."""

    account: str
    host: str
    terms: Terms

    @property
    def holders(self) -> str:
        return f"{PREFIX}holders:{self.account}"

    def keys(self) -> list[str]:
        account, breaker = f"{PREFIX}account:{self.account}", f"{PREFIX}breaker:{self.host}"
        return [account, breaker, f"{PREFIX}replicas", self.holders]

    def words(self) -> list[int]:
        return [self.terms.limit, self.terms.window, self.terms.concurrency]


NOWHERE = Place(account="", host="", terms=Terms(limit=1, window=1, concurrency=1))


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a call. `failed` None: it says nothing of the host. `blocked_for`: nobody calls for so long."""

    free: bool = False
    told: Told | None = None
    blocked_for: int = 0
    failed: bool | None = None
    probe: bool = False

    def words(self) -> list[str | int]:
        told = (self.told.limit, self.told.left, self.told.reset) if self.told else (0, 0, 0)
        outcome = "" if self.failed is None else "failed" if self.failed else "answered"
        return [int(self.free), *told, self.blocked_for, outcome, int(self.probe)]


class Shared:
    """Every method raises DependencyDown while Redis is away. `now` 0 is Redis's own clock, the one for all."""

    def __init__(self, url: str, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        # No `socket_timeout`: with one redis-py sends by `asyncio.wait_for`, which before Python 3.12 may forget that
        # its caller was cancelled, and whoever asks in a loop then never ends. `_asked` bounds each question.
        self._redis = Redis.from_url(
            url, socket_connect_timeout=seconds, socket_timeout=None, retry=Retry(NoBackoff(), 1)
        )
        self._script = self._redis.register_script(SCRIPT)

    async def take(
        self, place: Place, ticket: str, flow: Flow, *, holder: str, seed: State | None = None, now: int = 0
    ) -> Answer:
        """`seed` is what the caller knew last: it stands if Redis has forgotten the account."""
        said = [ticket, flow.workspace, flow.lane, LEASE_MS, holder, _known(seed)]
        return _answer(await self._run("take", place, now, said))

    async def settle(
        self, place: Place, ticket: str, outcome: Outcome, *, seed: State | None = None, now: int = 0
    ) -> tuple[State, int]:
        """What stands, and until when the host's breaker is open (0 = it is not)."""
        found = await self._run("settle", place, now, [ticket, *outcome.words(), _known(seed)])
        return _answer(found).state, int(found[9])

    async def look(self, place: Place, *, now: int = 0) -> State | None:
        found = await self._run("look", place, now, [])
        return _answer(found).state if found else None

    async def beat(self, owner: str, *, now: int = 0) -> int:
        """How many replicas live."""
        return int((await self._run("beat", NOWHERE, now, [owner]))[0])

    async def holders(self, place: Place) -> list[str]:
        found = await self._asked(self._redis.zrange(place.holders, 0, -1))
        return [one.decode() for one in found]

    async def close(self) -> None:
        await self._redis.aclose()

    async def _run(self, verb: str, place: Place, now: int, said: list[Any]) -> list[Any]:
        found: list[Any] = await self._asked(
            self._script(keys=place.keys(), args=[verb, now, *place.words(), *said], client=self._redis)
        )
        return found

    async def _asked(self, question: Any) -> Any:
        try:
            async with asyncio.timeout(self._seconds):
                return await question
        except (RedisError, OSError):  # a timeout is an OSError too
            raise DependencyDown("Redis is away; try again") from None


def _known(seed: State | None) -> str:
    return msgspec.json.encode(seed).decode() if seed else ""


def _answer(found: list[Any]) -> Answer:
    reason, wait, probe, limit, left, reset, told, blocked, used = found[:9]
    state = State(limit=limit, left=left, reset=reset, told=bool(told), blocked=blocked, used=used)
    return msgspec.convert({"reason": reason.decode(), "wait": wait, "probe": bool(probe), "state": state}, Answer)
